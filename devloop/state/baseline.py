"""What an agent acked last, of one tree: with it, a restarted devloop knows what the target holds without asking.

It is filled by the engine's commands and read once per link. It is only a shortcut: one that is missing, old or
damaged makes the first sync ask for the agent's manifest, nothing else. So trouble with the disk never raises here; it
makes the baseline unusable (`trouble` says why) and drops what it holds, until a reset succeeds again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Final

from devloop.core import entry, tree
from devloop.fs import table

# The row that holds the tree id. Never an entry's path: `paths.check` refuses it.
_TREE_ID: Final = ".devloop"


class Baseline:
    """The stored baseline of one tree. Safe for use from several threads.

    Args:
        path: The file; its folder is made when missing.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._table: table.Table[entry.Entry] | None = None
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why it is unusable; empty while it is not."""
        return self._trouble

    def load(self, tree_id: str) -> tree.Tree:
        """Return a copy of what is stored for a tree; empty where it is another tree's, or nothing is stored.

        Args:
            tree_id: The target's identity.
        """
        with self._lock:
            try:
                rows = self._opened().rows
            except OSError as error:
                self._give_up(error)
                return tree.Tree()
            if rows.get(_TREE_ID) != _row(tree_id):
                return tree.Tree()
            found = {path: known for path, known in rows.items() if path != _TREE_ID}
        # The digest takes a moment for a large tree, and others need not wait for it.
        return tree.Tree(found)

    def update(self, delta: tree.TreeDelta) -> None:
        """Note what was acked; nothing happens before the first reset, or when the disk refuses (`trouble`)."""
        with self._lock:
            if self._trouble:
                return
            try:
                stored = self._opened()
                if _TREE_ID in stored.rows:
                    stored.update({**dict.fromkeys(delta.gone & stored.rows.keys()), **delta.put})
            except OSError as error:
                self._give_up(error)

    def reset(self, tree_id: str, known: tree.Tree) -> None:
        """Store a whole tree in place of what was there; when the disk refuses, nothing is stored (`trouble`).

        Args:
            tree_id: The target's identity.
            known: What it holds. Copied at once; the caller does not change it meanwhile.
        """
        with self._lock:
            try:
                stored = self._opened()
                stored.clear()
                # The tree id goes last: what a kill cuts short counts as nothing stored.
                stored.update(dict(known))
                stored.update({_TREE_ID: _row(tree_id)})
                self._trouble = ""
            except OSError as error:
                self._give_up(error)

    def close(self) -> None:
        """Close the file; the baseline opens it again when it is used."""
        with self._lock:
            self._close()

    def _opened(self) -> table.Table[entry.Entry]:
        if self._table is None:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            fresh = table.Table(self._path, entry.Entry)
            try:
                fresh.open()
            except OSError:
                fresh.close()
                raise
            self._table = fresh
        return self._table

    def _give_up(self, error: OSError) -> None:
        """Mark it as unusable, and see that the next start does not find what is outdated by then."""
        self._trouble = error.strerror or str(error)
        self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def _close(self) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None


def _row(tree_id: str) -> entry.Entry:
    return entry.link(tree_id.encode("utf-8", "surrogateescape"))
