"""Entries: equal or not, and what may come from outside."""

import pytest

from devloop.core import entry
from devloop.core.entry import Entry, Kind

DIGEST = bytes(range(32))


def test_entries_are_equal_by_what_they_are() -> None:
    assert entry.file(DIGEST, 3) == entry.file(DIGEST, 3)
    assert entry.file(DIGEST, 3) != entry.file(DIGEST, 3, executable=True)
    assert entry.folder() is entry.FOLDER
    assert entry.link(b"x") != entry.link(b"y")


@pytest.mark.parametrize(
    "good", [entry.file(DIGEST, 0), entry.file(DIGEST, 2**40, executable=True), entry.folder(), entry.link(b"../x")]
)
def test_what_is_made_here_is_valid(good: Entry) -> None:
    assert entry.is_valid(good)


@pytest.mark.parametrize(
    "bad",
    [
        Entry(Kind.FILE),
        Entry(Kind.FILE, size=-1, digest=DIGEST),
        Entry(Kind.FILE, digest=DIGEST[:31]),
        Entry(Kind.FILE, digest=DIGEST, target=b"x"),
        Entry(Kind.FOLDER, executable=True),
        Entry(Kind.FOLDER, size=1),
        Entry(Kind.FOLDER, digest=DIGEST),
        Entry(Kind.FOLDER, target=b"x"),
        Entry(Kind.LINK),
        Entry(Kind.LINK, target=b"a\0b"),
        Entry(Kind.LINK, target=b"x", size=1),
        Entry(Kind.LINK, target=b"x", digest=DIGEST),
    ],
)
def test_other_fields_are_not(bad: Entry) -> None:
    assert not entry.is_valid(bad)
