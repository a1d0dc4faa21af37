"""The laptop's folders as the engine sees them: a disk, rules that hide, git's list, and scans of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from devloop.core import entry, paths, tree


@dataclasses.dataclass
class Scan:
    """What a scan found: the arguments of `Engine.scanned`."""

    delta: tree.TreeDelta
    hidden: frozenset[str]
    approved: frozenset[str]


@dataclasses.dataclass
class ModelFolder:
    """One sync's folder.

    Attributes:
        disk: What is there.
        ignored: Paths that the rules cover, with what is below them.
        listed: Paths that git's HEAD lists.
        told: What the last scan told the engine.
        by_git: Paths that a git operation deleted since the last scan.
        hidden: Paths that scans told to be there, covered by the rules.
    """

    disk: dict[str, entry.Entry] = dataclasses.field(default_factory=dict)
    ignored: set[str] = dataclasses.field(default_factory=set)
    listed: set[str] = dataclasses.field(default_factory=set)
    told: dict[str, entry.Entry] = dataclasses.field(default_factory=dict)
    by_git: set[str] = dataclasses.field(default_factory=set)
    hidden: set[str] = dataclasses.field(default_factory=set)

    def put(self, path: str, there: entry.Entry) -> None:
        """Make the path be this, whatever is there now."""
        for above in paths.ancestors(path):
            if self.disk.get(above) != entry.FOLDER:
                self.remove(above)
                self.disk[above] = entry.FOLDER
        if there.kind is not entry.Kind.FOLDER or self.disk.get(path) != entry.FOLDER:
            self.remove(path)
        self.disk[path] = there
        self.by_git.discard(path)

    def remove(self, path: str) -> None:
        """Remove the path and what is below it."""
        for gone in [found for found in self.disk if paths.is_under(found, path)]:
            del self.disk[gone]

    def visible(self) -> dict[str, entry.Entry]:
        """Return what the rules do not hide."""
        return {path: there for path, there in self.disk.items() if not self.is_ignored(path)}

    def is_ignored(self, path: str) -> bool:
        """Say whether the rules cover the path."""
        return path in self.ignored or any(above in self.ignored for above in paths.ancestors(path))

    def scan_part(self, tops: Iterable[str]) -> tree.TreeDelta:
        """Look at some top-level names while the first scan is going on; what is gone is found by its end."""
        chosen = set(tops)
        found = {path: there for path, there in self.visible().items() if path.split("/")[0] in chosen}
        delta = tree.TreeDelta({path: there for path, there in found.items() if self.told.get(path) != there})
        self.told = {**self.told, **delta.put}
        return delta

    def scan(self, tops: Iterable[str] | None = None) -> Scan:
        """Look at some top-level names, or at everything for the first time, and return what the engine is told."""
        now = self.visible()
        missed = {path for path in self.disk if path not in now} if tops is None else set()
        if tops is not None:
            chosen = set(tops)
            now = {
                **{path: there for path, there in self.told.items() if path.split("/")[0] not in chosen},
                **{path: there for path, there in now.items() if path.split("/")[0] in chosen},
            }
        delta = tree.diff(self.told, now)
        self.told = now
        approved = frozenset(self.by_git & delta.gone)
        self.by_git -= approved
        hidden = {path for path in delta.gone if path in self.disk} | missed
        self.hidden = (self.hidden | hidden) - set(delta.put)
        return Scan(delta, frozenset(hidden), approved)
