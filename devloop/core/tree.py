"""A manifest of entries with a digest that follows every change at constant cost, once it has been asked for.

The digest is the sum, modulo 2**256, of one sha256 per entry over its path and fields (MSet-Add-Hash: Clarke
and others, "Incremental Multiset Hash Functions", ASIACRYPT 2003). Two trees with the same entries have the
same digest in whatever order they were built, and a single edit costs two hashes however large the tree is. It
tells an equal tree from a different one between two sides that trust each other; each file's content is proved
by its own sha256 besides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from devloop.core import paths
from devloop.core.entry import Entry, Kind

_MODULUS: Final = 1 << 256


class TreeDelta(msgspec.Struct, frozen=True):
    """What turns one tree into another.

    Attributes:
        put: Entries that are new or different, by path.
        gone: Paths that are no more.
    """

    put: dict[str, Entry] = {}
    gone: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.put or self.gone)


def entry_hash(path: str, entry: Entry) -> int:
    """Return one entry's share of a tree's digest."""
    head = b"%d%d%d\0" % (entry.kind, entry.executable, entry.size)
    # kind, flag and size end at the first NUL, the path at the second, so no two entries read the same
    raw = head + paths.to_wire(path) + b"\0" + entry.digest + entry.target
    return int.from_bytes(hashlib.sha256(raw).digest(), "big")


class Tree(Mapping[str, Entry]):
    """A mutable mapping of path to entry that knows its own digest.

    Reading is a mapping's; writing is `put`, `remove` and `apply`. Not safe for use from several threads.

    Args:
        entries: The first content.
    """

    __slots__ = ("_bytes", "_entries", "_files", "_sum")

    def __init__(self, entries: Mapping[str, Entry] | Iterable[tuple[str, Entry]] = ()) -> None:
        self._entries: dict[str, Entry] = dict(entries)
        # None until the digest is asked for: some large trees never are.
        self._sum: int | None = None
        files = [entry.size for entry in self._entries.values() if entry.kind is Kind.FILE]
        self._files, self._bytes = len(files), sum(files)

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, path: object) -> bool:
        return path in self._entries

    def items(self) -> ItemsView[str, Entry]:
        """Return the mapping's items; a mapping's own would look each of them up."""
        return self._entries.items()

    def get(self, path: str, default: Entry | None = None) -> Entry | None:  # type: ignore[override]
        """Return the path's entry, or the default."""
        return self._entries.get(path, default)

    @property
    def digest(self) -> bytes:
        """The root hash over all entries: 32 bytes, all zero for an empty tree."""
        if self._sum is None:
            self._sum = sum(entry_hash(path, entry) for path, entry in self._entries.items()) % _MODULUS
        return self._sum.to_bytes(32, "big")

    def put(self, path: str, entry: Entry) -> None:
        """Add or replace one entry."""
        old = self._entries.get(path)
        if old == entry:
            return
        if old is not None:
            self._count(path, old, -1)
        self._count(path, entry, 1)
        self._entries[path] = entry

    def remove(self, path: str) -> Entry | None:
        """Take one entry out, and return it; its children, if any, stay.

        Returns:
            The entry, or None where there was none.
        """
        old = self._entries.pop(path, None)
        if old is not None:
            self._count(path, old, -1)
        return old

    def apply(self, delta: TreeDelta) -> None:
        """Remove what is gone, then put what is put."""
        for path in delta.gone:
            self.remove(path)
        for path, entry in delta.put.items():
            self.put(path, entry)

    def copy(self) -> Tree:
        """Return an independent tree with the same entries."""
        twin = Tree()
        twin._entries = dict(self._entries)
        twin._sum, twin._files, twin._bytes = self._sum, self._files, self._bytes
        return twin

    def file_count(self) -> int:
        """Return how many of the entries are files."""
        return self._files

    def total_bytes(self) -> int:
        """Return the sum of the files' sizes."""
        return self._bytes

    def _count(self, path: str, entry: Entry, sign: int) -> None:
        """Let an entry that comes (1) or goes (-1) count in what is known of the whole."""
        if self._sum is not None:
            self._sum = (self._sum + sign * entry_hash(path, entry)) % _MODULUS
        if entry.kind is Kind.FILE:
            self._files += sign
            self._bytes += sign * entry.size


def diff(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> TreeDelta:
    """Return what turns `old` into `new`. Cost: one look-up per entry of either."""
    put = {path: entry for path, entry in new.items() if old.get(path) != entry}
    gone = frozenset(path for path in old if path not in new)
    return TreeDelta(put, gone)


def equal_but_for(one: Tree, other: Tree, excused: Collection[str]) -> bool:
    """Say whether two trees are equal but for some paths, at the cost of these paths only."""
    rest = int.from_bytes(one.digest, "big") - int.from_bytes(other.digest, "big")
    for path in excused:
        for sign, entry in ((-1, one.get(path)), (1, other.get(path))):
            if entry is not None:
                rest += sign * entry_hash(path, entry)
    return rest % _MODULUS == 0
