"""JetBrains' files: run configurations in `.run`, and the schema of devloop.yaml in `.idea/jsonSchemas.xml`. Pure.

There is no public reference of these formats. Written is what public projects commit for the same purposes; what could
not be found there, such as the folders of a remote debugger for Node and Go, is left to the IDE and told in a note. In
PyCharm's *Python Debug Server* the IDE listens: the app connects to it by pydevd-pycharm, through a port of `reverse:`.

A run configuration is a file of its own, with a mark in a comment.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from devloop.ide import debuggers, facts, jetbrainsschema, marks, plan, schemafile, xmltext

_ROOT: Final = "$PROJECT_DIR$"
SCHEMA_PATH: Final = ".idea/devloop.schema.json"

_SHELL: Final = "ShConfigurationType"


class _Run(msgspec.Struct, frozen=True):
    """A run configuration: its name, its XML within `configuration`, and that element's attributes."""

    name: str
    attributes: str
    lines: tuple[str, ...]


def files(known: facts.Facts, texts: plan.Texts, schema: dict[str, Any], *, force: bool) -> list[plan.File]:
    """Return the files as they are to be.

    Args:
        known: The project.
        texts: The files as they are.
        schema: The JSON schema of devloop.yaml.
        force: Replace what somebody changed.

    Raises:
        ConfigError: A file that is there is broken.
    """
    made = [_run_file(run, texts, force) for run in _runs(known)]
    return [
        *made,
        jetbrainsschema.file(known, texts, SCHEMA_PATH, force=force),
        schemafile.file(SCHEMA_PATH, texts, schema, force=force),
    ]


def notes(known: facts.Facts) -> list[str]:
    """Return what the user must do in the IDE."""
    told = []
    for service in known.services:
        kind = service.attach.kind if service.attach else None
        if kind is debuggers.Kind.DEBUGPY:
            told.append(
                f"{service.name}: devloop knows no JetBrains configuration that attaches to debugpy; for PyCharm's own "
                f"debugger say --debug {service.name}=pydevd and connect from the app by pydevd_pycharm.settrace"
            )
        elif kind in {debuggers.Kind.NODE, debuggers.Kind.DLV}:
            pairs = ", ".join(f"{folder.here} is {folder.there}" for folder in service.folders)
            told.append(f"{service.name}: if the IDE does not find the sources by itself, tell it that {pairs}")
    return told


# ---- run configurations ---------------------------------------------------------------------------------------------


def _runs(known: facts.Facts) -> list[_Run]:
    watch = _shell(known, f"devloop watch{known.suffix}", "devloop watch", terminal=True)
    flush = _shell(known, f"devloop flush{known.suffix}", "devloop flush", terminal=False)
    stop = _shell(known, f"devloop stop{known.suffix}", "devloop stop", terminal=False)
    attached = [_attach(known, service, flush.name) for service in known.services]
    return [watch, flush, stop, *(run for run in attached if run is not None)]


def _shell(known: facts.Facts, name: str, line: str, *, terminal: bool) -> _Run:
    options = {
        "SCRIPT_TEXT": line,
        "INDEPENDENT_SCRIPT_PATH": "true",
        "SCRIPT_PATH": "",
        "SCRIPT_OPTIONS": "",
        "INDEPENDENT_SCRIPT_WORKING_DIRECTORY": "true",
        "SCRIPT_WORKING_DIRECTORY": known.at(_ROOT, known.folder),
        "INDEPENDENT_INTERPRETER_PATH": "true",
        "INTERPRETER_PATH": "/bin/sh",
        "INTERPRETER_OPTIONS": "",
        "EXECUTE_IN_TERMINAL": str(terminal).lower(),
        "EXECUTE_SCRIPT_FILE": "false",
    }
    return _Run(name, f'type="{_SHELL}"', (*_options(options), "<envs />", '<method v="2" />'))


def _attach(known: facts.Facts, service: facts.Service, flush: str) -> _Run | None:
    attach = service.attach
    if attach is None:
        return None
    name = f"devloop attach to {service.name}{known.suffix}"
    named = f'run_configuration_name="{xmltext.attribute(flush)}" run_configuration_type="{_SHELL}"'
    before = (
        '<method v="2">',
        f'  <option name="RunConfigurationTask" enabled="true" {named} />',
        "</method>",
    )
    where = f'host="{xmltext.attribute(attach.host)}" port="{attach.port}"'
    match attach.kind:
        case debuggers.Kind.NODE:
            kind = f'type="ChromiumRemoteDebugType" factoryName="Chromium Remote" {where} restartOnDisconnect="true"'
            return _Run(name, kind, before)
        case debuggers.Kind.DLV:
            kind = f'type="GoRemoteDebugConfigurationType" factoryName="Go Remote" {where}'
            # Only to leave: another choice would end the app in the pod.
            left = ('<option name="disconnectOption" value="LEAVE" />', '<disconnect value="LEAVE" />')
            return _Run(name, kind, (*left, *before))
        case debuggers.Kind.JDWP:
            options = {
                "USE_SOCKET_TRANSPORT": "true",
                "SERVER_MODE": "false",
                "HOST": attach.host,
                "PORT": str(attach.port),
                "AUTO_RESTART": "true",
            }
            return _Run(name, 'type="Remote" factoryName="Remote"', (*_options(options), *before))
        case debuggers.Kind.PYDEVD:
            kind = 'type="PyRemoteDebugConfigurationType" factoryName="Python Remote Debug"'
            return _Run(name, kind, _pydevd(known, service, attach))
        case _:
            return None


def _pydevd(known: facts.Facts, service: facts.Service, attach: facts.Attach) -> tuple[str, ...]:
    maps = [
        f'      <mapping local-root="{xmltext.attribute(known.at(_ROOT, folder.here))}" '
        f'remote-root="{xmltext.attribute(known.at(_ROOT, folder.there))}" />'
        for folder in service.folders
    ]
    return (
        *_options({"PORT": str(attach.port), "HOST": attach.host}),
        "<PathMappingSettings>",
        '  <option name="pathMappings">',
        "    <list>",
        *maps,
        "    </list>",
        "  </option>",
        "</PathMappingSettings>",
        *_options({"REDIRECT_OUTPUT": "true", "SUSPEND_AFTER_CONNECT": "false"}),
        '<method v="2" />',
    )


def _options(options: dict[str, str]) -> list[str]:
    return [f'<option name="{name}" value="{xmltext.attribute(value)}" />' for name, value in options.items()]


def _run_file(run: _Run, texts: plan.Texts, force: bool) -> plan.File:
    path = f".run/{run.name.replace('/', '_')}.run.xml"
    body = "\n".join(f"    {line}" for line in run.lines)
    start = f'  <configuration default="false" name="{xmltext.attribute(run.name)}" {run.attributes}>'
    core = f"{start}\n{body}\n  </configuration>"
    after = _with_mark(core)
    before = texts(path)
    if before is None or before == after or force or _is_ours(before):
        return plan.File(path, before, after)
    return plan.File(path, before, before, (plan.kept(path, "it"),))


def _with_mark(core: str) -> str:
    head = '<component name="ProjectRunConfigurationManager">'
    return f"{head}\n{core}\n  <!-- {marks.of_text(core)} -->\n</component>\n"


def _is_ours(text: str) -> bool:
    start, end = text.find("\n") + 1, text.rfind("\n  <!--")
    return start > 0 and end > start and text == _with_mark(text[start:end])
