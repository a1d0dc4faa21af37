"""The public JSON form of events."""

import json
import typing

import msgspec
import pytest

from devloop.sync import events

KINDS = typing.get_args(events.Any)


def sample(kind: type) -> object:
    """Return an event with some value in each field that needs one."""
    values = {str: "x", int: 1, float: 1.5, bool: True}
    filled = {}
    for field in msgspec.structs.fields(kind):
        if field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT:
            filled[field.name] = values.get(field.type, ()) if not isinstance(field.type, str) else "x"
            if isinstance(field.type, type) and issubclass(field.type, events.Level):
                filled[field.name] = events.Level.INFO
    return kind(**filled)


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_survives_its_json(kind: type[events.Event]) -> None:
    event = sample(kind)
    assert isinstance(event, events.Event)
    line = events.to_json(event)
    assert b"\n" not in line
    said = json.loads(line)
    assert (said["v"], said["event"]) == (events.VERSION, kind.__struct_config__.tag)
    assert events.from_json(line) == event


def test_tags_are_of_one_event_each() -> None:
    tags = [kind.__struct_config__.tag for kind in KINDS]
    assert len(tags) == len(set(tags))


def test_names_that_are_not_utf_8_are_written_out() -> None:
    line = events.to_json(events.Pulled(path="caf\udce9", conflict=""))
    assert json.loads(line)["path"] == "caf\\xe9"


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"event": "dance"}', b"{}"])
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        events.from_json(line)
