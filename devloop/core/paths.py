"""Relative paths that are safe by construction.

Inside the program a path is a `str`: relative to its root, `/` between segments, never starting or ending with
one, and with no `.`, `..` or empty segment. The root itself is the empty string. Names that are not UTF-8 keep
their bytes through Python's surrogate escapes; on the wire a path is those bytes.

Every path that comes from outside (the wire, the command line, a file) passes `check` or `from_wire` once; code
behind that point relies on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

# Linux: NAME_MAX is 255 bytes and PATH_MAX 4096 with the final NUL (linux/limits.h).
MAX_SEGMENT_BYTES: Final = 255
MAX_PATH_BYTES: Final = 4095

# Never entries, at any depth: git's own data, and devloop's.
DEVLOOP: Final = ".devloop"
RESERVED: Final = frozenset({".git", DEVLOOP})


class UnsafePathError(ValueError):
    """A path that could leave its root, or that no file system takes.

    Args:
        path: The path as it came.
        reason: Why it is refused.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path!r}: {reason}")
        self.path = path
        self.reason = reason


def to_wire(path: str) -> bytes:
    """Return the bytes of a path, as the file system has them."""
    return path.encode("utf-8", "surrogateescape")


def from_wire(raw: bytes) -> str:
    """Return the checked path of these bytes.

    Raises:
        UnsafePathError: As `check`.
    """
    return check(raw.decode("utf-8", "surrogateescape"))


def check(path: str) -> str:
    """Return the path if it is a safe relative path, else raise.

    Args:
        path: A candidate; the empty string is not an entry's path and is refused.

    Raises:
        UnsafePathError: It is empty, absolute, too long, holds a NUL, an empty, `.` or `..` segment, or a
            segment that devloop never syncs (`RESERVED`).
    """
    if not path:
        raise UnsafePathError(path, "empty path")
    if path[0] == "/":
        raise UnsafePathError(path, "absolute path")
    if "\0" in path:
        raise UnsafePathError(path, "NUL in path")
    if len(to_wire(path)) > MAX_PATH_BYTES:
        raise UnsafePathError(path, f"longer than {MAX_PATH_BYTES} bytes")
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            raise UnsafePathError(path, f"segment {segment!r}")
        if segment in RESERVED:
            raise UnsafePathError(path, f"{segment} is never synced")
        # a character takes 4 bytes at most, so most segments need no encoding to be cleared
        if len(segment) * 4 > MAX_SEGMENT_BYTES and len(to_wire(segment)) > MAX_SEGMENT_BYTES:
            raise UnsafePathError(path, f"a name longer than {MAX_SEGMENT_BYTES} bytes")
    return path


def parent(path: str) -> str:
    """Return the path of the folder that holds this one; the root's parent is the root."""
    return path.rpartition("/")[0]


def name(path: str) -> str:
    """Return the last segment."""
    return path.rpartition("/")[2]


def join(folder: str, child: str) -> str:
    """Return the path of `child` in `folder`, either of which may be the root."""
    if not folder:
        return child
    return f"{folder}/{child}" if child else folder


def ancestors(path: str) -> Iterator[str]:
    """Yield the folders above a path, nearest first, without the root."""
    while path := parent(path):
        yield path


def is_under(path: str, folder: str) -> bool:
    """Say whether `path` is `folder` itself or lies anywhere in it."""
    return not folder or path == folder or path.startswith(folder + "/")


def depth(path: str) -> int:
    """Return the number of segments; 0 for the root."""
    return path.count("/") + 1 if path else 0


def outermost(folders: set[str]) -> list[str]:
    """Return the given folders without those that lie in another of them, sorted."""
    if "" in folders:
        return [""]
    return sorted(folder for folder in folders if not any(above in folders for above in ancestors(folder)))
