"""JetBrains' files: run configurations in `.run`, and the schema of devloop.yaml in `.idea/jsonSchemas.xml`. Pure.

There is no public reference of these formats. Written is what public projects commit for the same purposes; what could
not be found there, such as the folders of a remote debugger for Node and Go, is left to the IDE and told in a note. In
PyCharm's *Python Debug Server* the IDE listens: the app connects to it by pydevd-pycharm, through a port of `reverse:`.

A run configuration is a file of its own, with a mark in a comment. In jsonSchemas.xml one entry is devloop's.
"""

from __future__ import annotations

import html
import re
from typing import Any, Final
from xml.parsers import expat

import msgspec

from devloop import errors
from devloop.ide import debuggers, facts, jsonc, marks, plan, schemafile

_ROOT: Final = "$PROJECT_DIR$"
SCHEMA_PATH: Final = ".idea/devloop.schema.json"
SCHEMAS_PATH: Final = ".idea/jsonSchemas.xml"

_SHELL: Final = "ShConfigurationType"
_COMPONENT: Final = "JsonSchemaMappingsProjectConfiguration"


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
    return [*made, _schemas(known, texts, force), schemafile.file(SCHEMA_PATH, texts, schema, force=force)]


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
    named = f'run_configuration_name="{_text(flush)}" run_configuration_type="{_SHELL}"'
    before = (
        '<method v="2">',
        f'  <option name="RunConfigurationTask" enabled="true" {named} />',
        "</method>",
    )
    where = f'host="{_text(attach.host)}" port="{attach.port}"'
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
        f'      <mapping local-root="{_text(known.at(_ROOT, folder.here))}" '
        f'remote-root="{_text(known.at(_ROOT, folder.there))}" />'
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
    return [f'<option name="{name}" value="{_text(value)}" />' for name, value in options.items()]


def _text(text: str) -> str:
    """Return a text as an attribute's value."""
    return html.escape(_legal(text))


def _legal(text: str) -> str:
    """Return a text with what XML cannot hold marked as lost (XML 1.0, section 2.2)."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def _run_file(run: _Run, texts: plan.Texts, force: bool) -> plan.File:
    path = f".run/{run.name.replace('/', '_')}.run.xml"
    body = "\n".join(f"    {line}" for line in run.lines)
    core = f'  <configuration default="false" name="{_text(run.name)}" {run.attributes}>\n{body}\n  </configuration>'
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


# ---- the schema -----------------------------------------------------------------------------------------------------


class _Found(msgspec.Struct):
    """Where things stand in jsonSchemas.xml, in bytes; -1 where they are not.

    Attributes:
        project_end: Before `</project>`.
        map_end: Before the `</map>` of the component.
        has_component: There is one.
        entry: Start and end of the entry of that key.
    """

    project_end: int = -1
    map_end: int = -1
    has_component: bool = False
    entry: tuple[int, int] | None = None


def _schemas(known: facts.Facts, texts: plan.Texts, force: bool) -> plan.File:
    path = SCHEMAS_PATH
    before = texts(path)
    key = _legal(f"devloop.yaml{known.suffix}")
    entry = _entry(known, key)
    opened, closed = "    <state>\n      <map>", "      </map>\n    </state>"
    component = f'  <component name="{_COMPONENT}">\n{opened}\n{entry}\n{closed}\n  </component>'
    if before is None or not before.strip():
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<project version="4">\n'
        return plan.File(path, before, f"{head}{component}\n</project>\n")
    raw = before.encode("utf-8", "surrogatepass")
    found = _look(raw, path, key)
    if found.entry is not None:
        start, end = found.entry
        # The IDE indents in its own way when it saves.
        same = b"".join(raw[start:end].split()) == b"".join(entry.encode("utf-8", "surrogatepass").split())
        if same or not force:
            return plan.File(path, before, before, () if same else (plan.kept(path, f'"{key}"'),))
        return plan.File(path, before, _spliced(raw, start, end, entry.strip()))
    if found.map_end >= 0:
        return plan.File(path, before, _inserted(raw, found.map_end, entry))
    if found.has_component or found.project_end < 0:
        raise errors.ConfigError(
            "it has no place for a schema that devloop knows of",
            hint="add the schema in the IDE's settings, under JSON Schema Mappings, or move the file away",
            code=jsonc.CODE,
            file=path,
        )
    return plan.File(path, before, _inserted(raw, found.project_end, component))


def _entry(known: facts.Facts, key: str) -> str:
    inside = known.within
    path = f"{inside}/devloop.yaml" if inside else "devloop.yaml"
    return f"""\
        <entry key="{_text(key)}">
          <value>
            <SchemaInfo>
              <option name="name" value="{_text(key)}" />
              <option name="relativePathToSchema" value="{SCHEMA_PATH}" />
              <option name="patterns">
                <list>
                  <Item>
                    <option name="path" value="{_text(path)}" />
                  </Item>
                </list>
              </option>
            </SchemaInfo>
          </value>
        </entry>"""


def _spliced(raw: bytes, start: int, end: int, text: str) -> str:
    newline = "\r\n" if b"\r\n" in raw else "\n"
    new = text.replace("\n", newline).encode("utf-8", "surrogatepass")
    return (raw[:start] + new + raw[end:]).decode("utf-8", "surrogatepass")


def _inserted(raw: bytes, at: int, text: str) -> str:
    """Return the document with lines before the line of an end tag."""
    line = raw.rfind(b"\n", 0, at) + 1
    if raw[line:at].strip():
        return _spliced(raw, at, at, f"\n{text}\n")
    return _spliced(raw, line, line, f"{text}\n")


def _look(raw: bytes, path: str, key: str) -> _Found:
    """Find the places in jsonSchemas.xml.

    Raises:
        ConfigError: It is no XML, or has a DOCTYPE, which an IDE's files never have.
    """
    found = _Found()
    parser = expat.ParserCreate()
    open_tags: list[str] = []
    inside = [False]
    started = [-1]

    def start(name: str, attributes: dict[str, str]) -> None:
        open_tags.append(name)
        if len(open_tags) == 2 and name == "component" and attributes.get("name") == _COMPONENT:
            inside[0] = found.has_component = True
        if inside[0] and open_tags[2:] == ["state", "map", "entry"] and attributes.get("key") == key:
            started[0] = parser.CurrentByteIndex

    def end(name: str) -> None:
        at = parser.CurrentByteIndex
        if inside[0] and open_tags[2:] == ["state", "map"] and raw.startswith(b"</", at):
            found.map_end = at
        if started[0] >= 0 and len(open_tags) == 5:
            behind = raw.find(b">", at) + 1
            found.entry, started[0] = (started[0], behind), -1
        if len(open_tags) == 2:
            inside[0] = False
        if len(open_tags) == 1 and name == "project" and raw.startswith(b"</", at):
            found.project_end = at
        open_tags.pop()

    def doctype(*_: object) -> None:
        raise _broken(path, parser, "it has a DOCTYPE")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise _broken(path, parser, f"this is not XML: {expat.ErrorString(error.code)}") from None
    return found


def _broken(path: str, parser: Any, message: str) -> errors.ConfigError:
    return errors.ConfigError(
        message,
        hint="mend it there, or move the file away; nothing was written",
        code=jsonc.CODE,
        file=path,
        line=parser.CurrentLineNumber,
        column=parser.CurrentColumnNumber + 1,
    )
