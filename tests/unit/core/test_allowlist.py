"""Entries of the allow list as Ops write them; what they allow is told in agent/test_dialrules.py."""

import pytest

from devloop.core import allowlist


@pytest.mark.parametrize(
    ("text", "network", "name", "port"),
    [
        ("*.other", "", "*.other", 0),
        ("DB.Example.com.:5432", "", "db.example.com", 5432),
        ("10.0.0.0/8:5432", "10.0.0.0/8", "", 5432),
        ("10.1.2.3", "10.1.2.3/32", "", 0),
        ("[fd00::/8]:443", "fd00::/8", "", 443),
        ("[::1]", "::1/128", "", 0),
        ("fd00::/8", "fd00::/8", "", 0),
        (" db.other ", "", "db.other", 0),
    ],
)
def test_an_entry(text: str, network: str, name: str, port: int) -> None:
    assert allowlist.parse(text) == allowlist.Allowed(text, network, name, port)


@pytest.mark.parametrize(
    "text",
    ["", " ", "*", "a/b", "10.0.0.0/33", "10.0.0.1/8", "1.2.3", "db:0", "db:70000", "db:x", "a b", "*.*.x", "http://x",
     "a" * 64, "a." * 127 + "b", "-a", "a-.b", "[db]:1x"],
)  # fmt: skip
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a name nor a network"):
        allowlist.parse(text)
