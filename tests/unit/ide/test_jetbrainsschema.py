from __future__ import annotations

from xml.etree import ElementTree

import pytest

from devloop import errors
from tests.unit.ide.test_jetbrains import known, notes, written

SCHEMAS = ".idea/jsonSchemas.xml"
THEIRS = """\
<?xml version="1.0" encoding="UTF-8"?>
<project version="4">
  <!-- ours -->
  <component name="JsonSchemaMappingsProjectConfiguration">
    <state>
      <map>
        <entry key="été &amp; co">
          <value><SchemaInfo><option name="name" value="x" /></SchemaInfo></value>
        </entry>
      </map>
    </state>
  </component>
</project>
"""


def entries(text: str) -> list[str]:
    found = ElementTree.fromstring(text).findall(
        "component[@name='JsonSchemaMappingsProjectConfiguration']/state/map/entry"
    )
    return [entry.get("key", "") for entry in found]


def test_the_schema_is_added_to_those_of_the_user() -> None:
    alone = written(known())[SCHEMAS]
    assert entries(alone) == ["devloop.yaml"]
    made = written(known(), {SCHEMAS: THEIRS})[SCHEMAS]
    assert entries(made) == ["été & co", "devloop.yaml"]
    head, tail = THEIRS.split("      </map>")
    assert made.startswith(head) and made.endswith("      </map>" + tail)
    for text in (alone, made):
        assert written(known(), {SCHEMAS: text})[SCHEMAS] == text and notes(known(), {SCHEMAS: text}) == []
    both = written(known("shop"), {SCHEMAS: made})[SCHEMAS]
    assert entries(both) == ["été & co", "devloop.yaml", "devloop.yaml (shop)"]


@pytest.mark.parametrize(
    "before",
    [
        "",
        '<project version="4">\n</project>',
        '<project version="4"><component name="Other" /></project>',
        THEIRS.replace("\n", "\r\n"),
    ],
)
def test_other_forms_take_it_too(before: str) -> None:
    made = written(known(), {SCHEMAS: before})[SCHEMAS]
    assert "devloop.yaml" in entries(made)
    assert written(known(), {SCHEMAS: made})[SCHEMAS] == made
    if "\r\n" in before:
        assert "\n" not in made.replace("\r\n", "")


def test_an_entry_of_the_same_name_is_kept() -> None:
    mine = written(known())[SCHEMAS].replace('value=".idea/devloop.schema.json"', 'value="mine.json"')
    assert written(known(), {SCHEMAS: mine})[SCHEMAS] == mine
    assert '"devloop.yaml" was not written by devloop' in notes(known(), {SCHEMAS: mine})[0]
    assert written(known(), {SCHEMAS: mine}, force=True)[SCHEMAS] == written(known())[SCHEMAS]
    indented = written(known())[SCHEMAS].replace("\n        ", "\n  ")
    assert written(known(), {SCHEMAS: indented})[SCHEMAS] == indented and notes(known(), {SCHEMAS: indented}) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<project>", "not XML"),
        ("{}", "not XML"),
        ('<!DOCTYPE p [<!ENTITY a "b">]>\n<project>&a;</project>', "DOCTYPE"),
        ("<other></other>", "no place"),
        ('<project><component name="JsonSchemaMappingsProjectConfiguration"/></project>', "no place"),
        ("<project/>", "no place"),
    ],
)
def test_what_is_broken_is_told(text: str, what: str) -> None:
    with pytest.raises(errors.ConfigError, match=what) as caught:
        written(known(), {SCHEMAS: text})
    assert caught.value.file == SCHEMAS and caught.value.error_code == "DL0360"
