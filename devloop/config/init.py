"""A first devloop.yaml for a folder: looks at it, and writes what `devloop.config.detect` makes of it.

The file is written for someone who has never seen one: it works as it is, on a local target, and what a cluster
needs stands beside it in comments.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

from devloop.config import detect, load

# What devloop puts into a project that belongs to one person only.
PRIVATE: Final = (".devloop/", "devloop.local.yaml")
_READ_BYTES: Final = 256 << 10


def look(folder: str) -> detect.Here:
    """Return what is in a folder.

    Raises:
        OSError: It cannot be listed.
    """
    with os.scandir(folder) as entries:
        names = frozenset(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)
    texts: dict[str, str] = {name: _read(os.path.join(folder, name)) for name in detect.READ if name in names}
    return detect.Here(names, texts, in_git=git_root(folder) != "")


def git_root(folder: str) -> str:
    """Return the folder of the git repository that `folder` belongs to, or an empty string."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above
    return folder


def render(folder: str, here: detect.Here, seen: detect.InCluster | None = None) -> str:
    """Return the text of a devloop.yaml.

    Args:
        folder: The project's folder; its name is the project's.
        here: What is in it.
        seen: The workload that it is for; None for a target on this machine.
    """
    found = detect.guess(here) if seen is None else detect.in_cluster(detect.guess(here), seen)
    where = _on_this_machine(found) if seen is None else _in_cluster(seen, found)
    return "\n".join([*_head(load.name_of(folder), seen), *_service(found, here, where), *_tail()]) + "\n"


def missing_ignores(text: str) -> list[str]:
    """Return those of `PRIVATE` that a `.gitignore` does not list."""
    listed = {line.strip().strip("/") for line in text.splitlines()}
    return [line for line in PRIVATE if line.strip("/") not in listed]


def add_ignores(text: str, lines: Iterable[str]) -> str:
    """Return the text of a `.gitignore` with more lines at its end."""
    gap = "" if not text or text.endswith("\n") else "\n"
    return text + gap + "".join(f"{line}\n" for line in lines)


def _head(name: str, seen: detect.InCluster | None) -> list[str]:
    if seen is None:
        cluster = [
            "# For a cluster: the only kube context that this project may use, and your namespace there.",
            "# context: dev-cluster",
            "# namespace: ${USER}",
        ]
    else:
        cluster = [
            "# The only kube context that this project may use, and the namespace there; ${USER} is yours.",
            f"context: {_word(seen.context)}",
            f"namespace: {_word(seen.namespace)}",
        ]
    return [
        "# Written by `devloop init` after a look at this folder. `devloop watch` syncs it and runs the app.",
        "# All keys: `devloop config schema`. What is yours alone: devloop.local.yaml, laid over this.",
        "version: 1",
        f"name: {_word(name)}",
        "",
        *cluster,
        "",
        "services:",
    ]


def _on_this_machine(found: detect.Guess) -> list[str]:
    port = found.ports[0] if found.ports else 8000
    return [
        "    # The target is a folder on this machine: the app runs there, and no cluster is needed.",
        f"    target: {{local: ./.devloop/{found.service}}}",
        "    # In your Argo CD environment, name the workload instead of the target:",
        f"    # workload: deployment/{found.service}",
        f"    # container: {found.service}",
        f'    # ports: ["{port}"]                  # the pod\'s ports on localhost',
    ]


def _in_cluster(seen: detect.InCluster, found: detect.Guess) -> list[str]:
    lines = ["    # The pods of this workload, once the agent is in its manifest: see `devloop inject --help`."]
    lines.append(f"    workload: {_word(seen.workload)}")
    if seen.container:
        lines.append(f"    container: {_word(seen.container)}")
    if seen.user:
        lines.append(f'    run_as: "{seen.user}"')
    if found.ports:
        lines.append(f"    ports: [{', '.join(map(_port, found.ports))}]")
    return lines


def _port(port: int) -> str:
    return f'"{port}"'


def _service(found: detect.Guess, here: detect.Here, where: list[str]) -> list[str]:
    return [
        f"  {found.service}:",
        *where,
        "",
        *_command(found),
        "    sync:",
        f"      - from: {_word(found.source)}",
        f"        to: {_word(found.to)}",
        *_ignores(found, here),
        "        # include: [dist/**]            # shipped although git ignores it",
        '        # pull: ["migrations/*.py"]     # brought back when the app makes or changes it',
        *_hooks(found),
    ]


def _command(found: detect.Guess) -> list[str]:
    if not found.command:
        return [
            "    # What runs in the target, started again after every change. Add it, and the mode below it:",
            "    # command: [python3, app.py]",
            "    # reload: supervise",
        ]
    return [
        f"    # What runs in the target, as {found.found_in} has it; started again after every change.",
        f"    command: {_argv(found.command, shell=found.shell)}",
        "    reload: supervise                   # or none, or {mode: signal, signal: HUP}",
    ]


def _ignores(found: detect.Guess, here: detect.Here) -> list[str]:
    if here.in_git or not found.ignore:
        return ['        # ignore: ["*.tmp"]             # besides what git ignores']
    return [f"        ignore: [{', '.join(map(_word, found.ignore))}]"]


def _hooks(found: detect.Guess) -> list[str]:
    if not found.hooks:
        return [
            "    # on_change:                        # commands for changed files, before the app starts again",
            "    #   - {paths: [requirements.txt], run: [pip, install, -r, requirements.txt]}",
        ]
    lines = [
        "    # Commands for changed files, before the app starts again; in: laptop runs one on this side.",
        "    on_change:",
    ]
    lines += [
        f"      - {{paths: [{', '.join(map(_word, hook.paths))}], run: {_argv(hook.run)}}}" for hook in found.hooks
    ]
    return lines


def _tail() -> list[str]:
    return [
        "",
        "# Other services of the namespace on localhost, and the Argo CD Application that owns it:",
        "# forwards: [postgres:5432]",
        "# argocd: {application: shop}",
    ]


def _argv(words: tuple[str, ...], *, shell: bool = False) -> str:
    return f"{{shell: {_word(words[0])}}}" if shell else f"[{', '.join(map(_word, words))}]"


def _word(word: str) -> str:
    """Return a word as YAML has it within brackets, quoted where it would mean something else."""
    escaped = re.sub(r"\$\$|\$\{", lambda found: "$" * found[0].count("$") + found[0], word)
    if re.fullmatch(r"[A-Za-z./_-][A-Za-z0-9./_=+-]*(:[A-Za-z0-9./_=+-]+)*", escaped) and not _means_other(escaped):
        return escaped
    return '"' + "".join(map(_quoted, escaped)) + '"'


def _quoted(character: str) -> str:
    """Return a character as it stands within YAML's double quotes (YAML 1.1, section 5.6)."""
    if character in {'"', "\\"}:
        return f"\\{character}"
    if character.isprintable():
        return character
    # A lone surrogate is no character that a file could hold.
    return "\ufffd" if "\ud800" <= character <= "\udfff" else f"\\U{ord(character):08x}"


def _means_other(word: str) -> bool:
    return word.lower() in {"null", "true", "false", "yes", "no", "on", "off", "-", "--", "---", "..."} or bool(
        re.fullmatch(r"[-+.]*[0-9].*", word)
    )


def _read(path: str) -> str:
    """Return the beginning of a file, or nothing where it cannot be read: it is one hint among several."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_READ_BYTES)
    except OSError:
        return ""
