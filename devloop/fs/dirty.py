"""From the paths that may have changed to the topmost paths that must be looked at.

A path can only be looked at by itself if every folder above it was listed before, is still a folder, and is still not
ignored. Else the outermost folder for which that does not hold is looked at instead, with everything below it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from devloop.core import paths
from devloop.fs import links, scanstate


class Router:
    """Answers for one scan. On the way it enters, in the ignore rules, every folder above the answers.

    Args:
        setup: What the scanner was made with.
        known: What it knows.
    """

    def __init__(self, setup: scanstate.Setup, known: scanstate.Known) -> None:
        self._setup = setup
        self._known = known
        self._sound: dict[str, bool] = {}

    def tops(self, dirty: Iterable[str]) -> list[str]:
        """Return the paths to look at, none within another; the root alone if it must be.

        Args:
            dirty: Paths that may have changed. Those that no entry can have are left out.
        """
        found: set[str] = set()
        for path in self._with_aliases(dirty):
            if path and not _may_be_entry(path):
                continue
            found.add(self._top(path))
        return paths.outermost(found)

    def _top(self, path: str) -> str:
        if not path or not self._is_sound(""):
            return ""
        for above in reversed(list(paths.ancestors(path))):
            if not self._is_sound(above):
                return above
        return path

    def _is_sound(self, folder: str) -> bool:
        """Say whether a folder can be relied on. Asked from the root downwards."""
        sound = self._sound.get(folder)
        if sound is None:
            sound = folder in self._known.children and (not folder or self._stands(folder))
            if sound:
                self._setup.ignore.enter(folder)
            self._sound[folder] = sound
        return sound

    def _stands(self, folder: str) -> bool:
        ignore = self._setup.ignore
        hollow = ignore.ignored(folder, True).ignored
        if hollow != (folder in self._known.hollow) or (hollow and not ignore.may_descend(folder)):
            return False
        above = scanstate.locate(self._setup.root, self._known.follows, paths.parent(folder))
        absolute = f"{above}/{paths.name(folder)}"
        real = self._known.follows.get(folder)
        try:
            status = os.lstat(absolute) if real is None else os.stat(real)
        except OSError:
            return False
        return stat.S_ISDIR(status.st_mode) and (real is None or self._leads_to(folder, real))

    def _with_aliases(self, dirty: Iterable[str]) -> Iterator[str]:
        """Yield each path, and what followed links make of it.

        With `follow` every scan costs a little for every link: what one leads to can change by a change anywhere on
        the way, which no path of an event tells.
        """
        if self._setup.symlinks is not links.Symlinks.FOLLOW:
            yield from dirty
            return
        dirty = list(dirty)
        yield from dirty
        yield from list(self._known.refused)
        inside = self._setup.root + "/"
        for link, real in list(self._known.follows.items()):
            if not self._leads_to(link, real):
                yield link
            elif real.startswith(inside):
                yield from _shown(link, real[len(inside) :], dirty)

    def _leads_to(self, link: str, real: str) -> bool:
        above = scanstate.locate(self._setup.root, self._known.follows, paths.parent(link))
        try:
            return os.path.realpath(f"{above}/{paths.name(link)}", strict=True) == real
        except OSError:
            return False


def _shown(link: str, real: str, dirty: list[str]) -> Iterator[str]:
    """Yield the names under which a link shows the dirty paths; both of its ends relative to the root."""
    for path in dirty:
        if paths.is_under(path, real):
            yield link + path[len(real) :]
        elif paths.is_under(real, path):
            yield link


def _may_be_entry(path: str) -> bool:
    try:
        paths.check(path)
    except paths.UnsafePathError:
        return False
    return True
