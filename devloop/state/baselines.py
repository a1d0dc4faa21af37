"""The baselines of one service: one for each tree that it ships to, so that its pods' do not overwrite each other.

A tree is known by the id that its agent tells: a pod that comes back with its volume finds its baseline, whatever the
pod is called by then. Most pods never come back, so what was not used for the longest goes. For use from one thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Final

from devloop.core import tree
from devloop.state import baseline

# Baselines that are kept besides those that are open. One of 100,000 files takes some 10 MB.
KEPT: Final = 8

# Files that are open at once: more than a service has trees at work. Without a bound, an agent that calls its tree
# something else with every link would use up all that this process may open.
MAX_OPEN: Final = 64

_PREFIX: Final = "baseline-"


class Baselines:
    """All that was acked last, by sync and tree.

    Args:
        folder: Where it is kept; made when missing.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._open: dict[tuple[int, str], baseline.Baseline] = {}

    def load(self, root: int, tree_id: str) -> tree.Tree:
        """Return a copy of what is stored; see `Baseline.load`."""
        return self._get(root, tree_id).load(tree_id)

    def update(self, root: int, tree_id: str, delta: tree.TreeDelta) -> None:
        """Note what was acked; see `Baseline.update`."""
        self._get(root, tree_id).update(delta)

    def reset(self, root: int, tree_id: str, known: tree.Tree) -> None:
        """Store a whole tree in place of what was there; see `Baseline.reset`."""
        self._get(root, tree_id).reset(tree_id, known)
        self._prune()

    def close(self) -> None:
        """Close every file; each is opened again when it is used."""
        while self._open:
            self._open.popitem()[1].close()

    def _get(self, root: int, tree_id: str) -> baseline.Baseline:
        key = (root, tree_id)
        found = self._open.pop(key, None) or baseline.Baseline(os.path.join(self._folder, _file_name(*key)))
        self._open[key] = found
        while len(self._open) > MAX_OPEN:
            # The one that was not used for the longest comes first.
            self._open.pop(next(iter(self._open))).close()
        return found

    def _prune(self) -> None:
        """Remove what was not used for the longest; trouble with it is for the next time."""
        used = {_file_name(*key) for key in self._open}
        with contextlib.suppress(OSError):
            idle = [
                entry for entry in os.scandir(self._folder) if entry.name.startswith(_PREFIX) and entry.name not in used
            ]
            idle.sort(key=lambda entry: entry.stat().st_mtime_ns)
            for entry in idle[: max(0, len(idle) - KEPT)]:
                os.unlink(entry.path)


def _file_name(root: int, tree_id: str) -> str:
    """Return a name that is safe whatever an agent calls its tree."""
    digest = hashlib.sha256(tree_id.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{_PREFIX}{root}-{digest[:16]}.log"
