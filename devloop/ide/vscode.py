"""VS Code's files: tasks that wait for *in sync*, attach configurations, and the schema of devloop.yaml. Pure.

How VS Code reads them (its sources: contrib/tasks/common/problemCollectors.ts, contrib/tasks/browser/
terminalTaskSystem.ts, contrib/debug/browser/debugTaskRunner.ts; and docs/reference/tasks-appendix of its site):

- the patterns are tried on every line that the task's terminal shows, without colours and with wrapped lines joined;
- a background task is busy from a line of `beginsPattern`, or its start where `activeOnStart` says so, to the next line
  of `endsPattern`, and again from each further begin;
- `preLaunchTask`, and `dependsOn` in sequence, wait until a background task is not busy, and for the end of others;
- a task that runs already and is not busy is not waited for, so a save of this very moment may still be on its way.
  That is why F5 waits for `devloop flush` behind the watch, and why a failed sync keeps the debugger from starting.

The task runs `watch --plain`: on a terminal the live screen would redraw the lines that the patterns need.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from devloop.ide import debuggers, facts, jsonc, jsoncedit, marks, plan, schemafile

_ROOT: Final = "${workspaceFolder}"
SCHEMA_PATH: Final = ".vscode/devloop.schema.json"

# The marker lines of devloop/ui/markers.py. Whoever joins a running watch sees only its recent past, which need not
# hold an end; what is in sync then, `flush` says.
BEGINS: Final = r"^devloop: sync started \("
ENDS: Final = r"^devloop: (?:sync complete in |sync failed$|ready$)|^joining the devloop that watches this project"

# `web lint | ` stands before what a hook or a build prints, unless the line is in the form of compilers.
_LABEL: Final = r"[\w.-]+ [^|]+ \| "
# gcc's form: errors in devloop.yaml, and what hooks and builds print in it.
COMPILER: Final = (
    r"^(?!devloop: |[^|]* \| )([^\s:|][^:|]*):(\d+):(?:(\d+):)?\s*(?:fatal )?(error|warning|note|info)\b:?\s*(.*)$"
)
# TypeScript's two forms: `a.ts(3,5): error TS2322: …` and `a.ts:3:5 - error TS2322: …`.
TYPESCRIPT: Final = (
    rf"^(?:{_LABEL})?([^\s|][^|]*?)[(:](\d+)[,:](\d+)(?:\):\s+|\s+-\s+)(error|warning|info)\s+(TS\d+)\s*:\s*(.*)$"
)
# ruff, flake8 and pycodestyle: `a.py:3:5: F401 …`.
LINTER: Final = rf"^{_LABEL}([^\s:|][^:|]*):(\d+):(\d+):?\s+([A-Z]+\d+)\s+(.*)$"


class _Entry(msgspec.Struct, frozen=True):
    """An entry of a list that is known by a name."""

    name: str
    value: dict[str, Any]


class _List(msgspec.Struct, frozen=True):
    """A file with such a list: where it is, the version of its language, the list's key, and that of the names."""

    path: str
    version: str
    member: str
    key: str


_TASKS: Final = _List(".vscode/tasks.json", "2.0.0", "tasks", "label")
_LAUNCH: Final = _List(".vscode/launch.json", "0.2.0", "configurations", "name")


def files(known: facts.Facts, texts: plan.Texts, schema: dict[str, Any], *, force: bool) -> list[plan.File]:
    """Return the files as they are to be.

    Args:
        known: The project.
        texts: The files as they are.
        schema: The JSON schema of devloop.yaml.
        force: Replace entries of ours that somebody changed.

    Raises:
        ConfigError: A file that is there is broken.
    """
    lists = [(_TASKS, _tasks(known)), (_LAUNCH, _attachs(known))]
    made = [_list_file(held, texts, entries, known.suffix, force) for held, entries in lists]
    written = [file for file in made if file is not None]
    return [*written, _settings(texts, force), schemafile.file(SCHEMA_PATH, texts, schema, force=force)]


def notes(known: facts.Facts) -> list[str]:
    """Return what the user should know of these entries."""
    told = []
    for service in known.services:
        kind = service.attach.kind if service.attach else None
        if kind is debuggers.Kind.PYDEVD:
            told.append(f"{service.name}: VS Code attaches to debugpy, and not to pydevd")
        if kind is debuggers.Kind.NODE and len(service.folders) > 1:
            told.append(
                f"{service.name}: VS Code maps one folder for Node, {service.main.here}; the others are not mapped"
            )
        outside = [folder.here for folder in service.folders if known.at(_ROOT, folder.here) == folder.here]
        if service.attach and outside:
            told.append(f"{service.name}: {outside[0]} lies outside of the workspace; its path is this machine's own")
    return told


# ---- tasks ----------------------------------------------------------------------------------------------------------


def watch_label(known: facts.Facts) -> str:
    """Return the label of the task that watches."""
    return f"devloop: watch{known.suffix}"


def _tasks(known: facts.Facts) -> list[_Entry]:
    watch = {
        "detail": "Keep the targets in sync, reload the apps, show what they print",
        **_process(known, "watch", "--plain"),
        "isBackground": True,
        "problemMatcher": _matchers(known),
        "presentation": {"reveal": "always", "panel": "dedicated"},
        "runOptions": {"instanceLimit": 1},
    }
    quiet = {"presentation": {"reveal": "silent", "panel": "shared", "showReuseMessage": False}, "problemMatcher": []}
    flush = {
        "detail": "Wait until what is saved now is in every target",
        **_process(known, "flush"),
        **quiet,
    }
    sync = {
        "detail": "Watch, and wait until everything is in sync; what F5 waits for",
        "dependsOn": [watch_label(known), f"devloop: flush{known.suffix}"],
        "dependsOrder": "sequence",
        "problemMatcher": [],
    }
    stop = {"detail": "End the watching process", **_process(known, "stop"), **quiet}
    return [
        _entry("label", f"devloop: {name}{known.suffix}", value)
        for name, value in (("watch", watch), ("flush", flush), ("in sync", sync), ("stop", stop))
    ]


def _process(known: facts.Facts, *words: str) -> dict[str, Any]:
    return {
        "type": "process",
        "command": "devloop",
        "args": list(words),
        "options": {"cwd": known.at(_ROOT, known.folder)},
    }


def _matchers(known: facts.Facts) -> list[dict[str, Any]]:
    common = {"owner": "devloop", "fileLocation": ["autoDetect", known.at(_ROOT, known.folder)]}
    places = {"file": 1, "line": 2, "column": 3}
    return [
        {
            **common,
            "source": "devloop",
            "pattern": {"regexp": COMPILER, **places, "severity": 4, "message": 5},
            "background": {
                "activeOnStart": True,
                "beginsPattern": {"regexp": BEGINS},
                "endsPattern": {"regexp": ENDS},
            },
        },
        {**common, "source": "ts", "pattern": {"regexp": TYPESCRIPT, **places, "severity": 4, "code": 5, "message": 6}},
        {**common, "severity": "warning", "pattern": {"regexp": LINTER, **places, "code": 4, "message": 5}},
    ]


# ---- launch configurations ------------------------------------------------------------------------------------------


def _attachs(known: facts.Facts) -> list[_Entry]:
    return [
        _entry("name", f"devloop: attach to {service.name}{known.suffix}", value)
        for service in known.services
        if (value := _attach(known, service))
    ]


def _attach(known: facts.Facts, service: facts.Service) -> dict[str, Any]:
    """Return a service's configuration; empty where VS Code has none for its debugger."""
    attach = service.attach
    if attach is None or attach.kind is debuggers.Kind.PYDEVD:
        return {}
    after = {"preLaunchTask": f"devloop: in sync{known.suffix}"}
    here = [known.at(_ROOT, folder.here) for folder in service.folders]
    there = [known.at(_ROOT, folder.there) for folder in service.folders]
    match attach.kind:
        case debuggers.Kind.DEBUGPY:
            # The properties: microsoft/vscode-python-debugger, package.json, `attach`.
            maps = [{"localRoot": one, "remoteRoot": other} for one, other in zip(here, there, strict=True)]
            own: dict[str, Any] = {
                "type": "debugpy",
                "connect": {"host": attach.host, "port": attach.port},
                "pathMappings": maps,
                "justMyCode": True,
            }
        case debuggers.Kind.NODE:
            # microsoft/vscode-js-debug, OPTIONS.md, `node: attach`. It takes one folder.
            own = {
                "type": "node",
                "address": attach.host,
                "port": attach.port,
                "localRoot": known.at(_ROOT, service.main.here),
                "remoteRoot": known.at(_ROOT, service.main.there),
                "restart": True,
                "sourceMaps": True,
                "skipFiles": ["<node_internals>/**"],
            }
        case debuggers.Kind.JDWP:
            # microsoft/vscode-java-debug, README, `Attach`. Classes are found by name, so there is nothing to map.
            own = {"type": "java", "hostName": attach.host, "port": attach.port, "sourcePaths": here}
        case _:
            # golang/vscode-go, docs/debugging.md, `Remote debugging`.
            maps = [{"from": one, "to": other} for one, other in zip(here, there, strict=True)]
            own = {
                "type": "go",
                "mode": "remote",
                "debugAdapter": "dlv-dap",
                "host": attach.host,
                "port": attach.port,
                "substitutePath": maps,
            }
    return {"type": own.pop("type"), "request": "attach", **own, **after}


# ---- merging --------------------------------------------------------------------------------------------------------


def _entry(key: str, name: str, value: dict[str, Any]) -> _Entry:
    return _Entry(name, {key: name, **value})


def _list_file(held: _List, texts: plan.Texts, entries: list[_Entry], suffix: str, force: bool) -> plan.File | None:
    before = texts(held.path)
    if before is None and not entries:
        return None
    text, notes = before or "", []
    root = jsonc.parse(text, held.path)
    if entries and (root is None or root.child("version") is None):
        text = jsoncedit.put(text, held.path, ["version"], held.version)
    for entry in entries:
        text, note = _merged(text, held, entry, force)
        notes += [note] if note else []
    return plan.File(held.path, before, text, (*notes, *_left(text, held, entries, suffix)))


def _items(text: str, held: _List) -> list[jsonc.Node]:
    root = jsonc.parse(text, held.path)
    member = root.child(held.member) if root else None
    return [child.node for child in member.node.children] if member else []


def _name(node: jsonc.Node, held: _List) -> str:
    return str(node.value.get(held.key, "")) if isinstance(node.value, dict) else ""


def _merged(text: str, held: _List, entry: _Entry, force: bool) -> tuple[str, str]:
    """Return the text with an entry in it, and what is to be said about it."""
    mark = marks.of_value(entry.value)
    for index, node in enumerate(_items(text, held)):
        if _name(node, held) != entry.name:
            continue
        if node.value == entry.value:
            return text, ""
        if not (force or _is_ours(node)):
            return text, plan.kept(held.path, f'"{entry.name}"')
        return jsoncedit.put_item(text, held.path, [held.member], entry.value, index=index, note=mark), ""
    return jsoncedit.put_item(text, held.path, [held.member], entry.value, note=mark), ""


def _is_ours(node: jsonc.Node) -> bool:
    """Say whether an entry is as devloop wrote it: its mark fits, and nobody added a comment."""
    return len(node.comments) == 1 and marks.fits(marks.of_value(node.value), node.comments[0])


def _left(text: str, held: _List, entries: list[_Entry], suffix: str) -> list[str]:
    """Return notes on entries of ours that nothing asks for any more. Those of other projects have another suffix."""
    wanted = {entry.name for entry in entries}
    names = [_name(node, held) for node in _items(text, held) if _is_ours(node)]
    return [
        f'{held.path}: nothing asks for "{name}" any more: delete it'
        for name in names
        if name not in wanted and (name.endswith(suffix) if suffix else not name.endswith(")"))
    ]


def _settings(texts: plan.Texts, force: bool) -> plan.File:
    """Associate the schema, by the setting of Red Hat's YAML extension; its paths are relative to the workspace."""
    path, name, value = ".vscode/settings.json", f"./{SCHEMA_PATH}", ["**/devloop.yaml"]
    before = texts(path)
    text = before or ""
    root = jsonc.parse(text, path)
    held = root.child("yaml.schemas") if root else None
    old = held.node.child(name) if held else None
    if old is not None and old.node.value != value and not force:
        return plan.File(path, before, text, (plan.kept(path, f'"{name}"'),))
    return plan.File(path, before, jsoncedit.put(text, path, ["yaml.schemas", name], value))
