"""What one path of a tree is: a file, a folder or a link, and what makes two of them equal.

Entries are made by `devloop.fs.scan` on either side and travel on the wire. Times and owners are not part of
them: mtime is not synced, and the files in the target belong to whoever runs the agent.
"""

from __future__ import annotations

import enum
import hashlib
from typing import Final

import msgspec

DIGEST_BYTES: Final = hashlib.sha256().digest_size

EMPTY_DIGEST: Final = hashlib.sha256(b"").digest()


class Kind(enum.IntEnum):
    """The kinds of entry that devloop ships. Everything else on a disk is reported as skipped."""

    FILE = 1
    FOLDER = 2
    LINK = 3


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One path's kind, executable bit, size and content.

    Equal entries need no transfer. Build them with `file`, `folder` and `link`.

    Attributes:
        kind: What it is.
        executable: The owner's execute bit; files only.
        size: Bytes; files only.
        digest: sha256 of the content; files only, else empty.
        target: What the link says, as bytes; links only, else empty.
    """

    kind: Kind
    executable: bool = False
    size: int = 0
    digest: bytes = b""
    target: bytes = b""


FOLDER: Final = Entry(Kind.FOLDER)


def file(digest: bytes, size: int, *, executable: bool = False) -> Entry:
    """Return the entry of a regular file.

    Args:
        digest: sha256 of its content, 32 bytes.
        size: Its length in bytes.
        executable: Its owner may execute it.
    """
    return Entry(Kind.FILE, executable, size, digest)


def folder() -> Entry:
    """Return the entry of a folder."""
    return FOLDER


def link(target: bytes) -> Entry:
    """Return the entry of a symbolic link that says `target`."""
    return Entry(Kind.LINK, target=target)


def is_valid(entry: Entry) -> bool:
    """Say whether an entry that came from outside has the fields of its kind, and only those."""
    if entry.kind is Kind.FILE:
        return len(entry.digest) == DIGEST_BYTES and entry.size >= 0 and not entry.target
    if entry.executable or entry.size or entry.digest:
        return False
    if entry.kind is Kind.LINK:
        return bool(entry.target) and b"\0" not in entry.target
    return not entry.target
