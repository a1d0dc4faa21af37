"""JetBrains' `.idea/jsonSchemas.xml`: one entry for devloop.yaml among those of the user, changed in its text. Pure.

The format is what IDEs of public projects wrote. `expat` says where things stand; everything else stays to the byte.
"""

from __future__ import annotations

from typing import Any, Final
from xml.parsers import expat

import msgspec

from devloop import errors
from devloop.ide import facts, jsonc, plan, xmltext

PATH: Final = ".idea/jsonSchemas.xml"

_COMPONENT: Final = "JsonSchemaMappingsProjectConfiguration"


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


def file(known: facts.Facts, texts: plan.Texts, schema: str, *, force: bool) -> plan.File:
    """Return the file as it is to be.

    Args:
        known: The project.
        texts: The files as they are.
        schema: The schema's path in the workspace.
        force: Replace an entry of that name that is another.

    Raises:
        ConfigError: The file is no XML, or has no place for the entry.
    """
    path = PATH
    before = texts(path)
    key = xmltext.legal(f"devloop.yaml{known.suffix}")
    entry = _entry(known, key, schema)
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


def _entry(known: facts.Facts, key: str, schema: str) -> str:
    inside = known.within
    path = f"{inside}/devloop.yaml" if inside else "devloop.yaml"
    return f"""\
        <entry key="{xmltext.attribute(key)}">
          <value>
            <SchemaInfo>
              <option name="name" value="{xmltext.attribute(key)}" />
              <option name="relativePathToSchema" value="{xmltext.attribute(schema)}" />
              <option name="patterns">
                <list>
                  <Item>
                    <option name="path" value="{xmltext.attribute(path)}" />
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
