"""From the paths that may have changed to the topmost paths that must be looked at.

A path can only be looked at by itself if every folder above it was listed before, is still a folder, and is still not
ignored. Else the outermost folder for which that does not hold is looked at instead, with everything below it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from devloop.core import paths
from devloop.fs import links, walk


class Router:
    """Answers for one scan. On the way it enters, in the ignore rules, every folder above the answers.

    Args:
        setup: What the scanner was made with.
        known: What it knows.
    """

    def __init__(self, setup: walk.Setup, known: walk.Known) -> None:
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
        above = walk.locate(self._setup.root, self._known.follows, paths.parent(folder))
        absolute = f"{above}/{paths.name(folder)}"
        real = self._known.follows.get(folder)
        try:
            if real is None:
                return stat.S_ISDIR(os.lstat(absolute).st_mode)
            return os.path.realpath(absolute, strict=True) == real and stat.S_ISDIR(os.stat(real).st_mode)
        except OSError:
            return False

    def _with_aliases(self, dirty: Iterable[str]) -> Iterator[str]:
        """Yield each path, and the paths under which followed links show it."""
        if self._setup.symlinks is not links.Symlinks.FOLLOW:
            yield from dirty
            return
        inside = self._setup.root + "/"
        shown = [(link, real[len(inside) :]) for link, real in self._known.follows.items() if real.startswith(inside)]
        for path in dirty:
            yield path
            for link, real in shown:
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
