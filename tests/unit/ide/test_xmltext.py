from __future__ import annotations

from xml.etree import ElementTree

from devloop.ide import xmltext


def test_any_text_is_an_attribute() -> None:
    text = "".join(map(chr, range(0x20, 0x300))) + "\x00\x1b\udc80\U0001f600"
    value = ElementTree.fromstring(f'<a b="{xmltext.attribute(text)}"/>').get("b")
    assert value == xmltext.legal(text) and value.endswith("\ufffd\ufffd\ufffd\U0001f600")
