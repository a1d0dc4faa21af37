"""What a scanner is made with and what it knows: shared by the parts of a scan, and decided by none of them here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from devloop.core import paths
from devloop.core.problem import Problem
from devloop.core.tree import Tree
from devloop.fs import links, statcache


class Verdict(Protocol):
    """What the ignore rules say about one path."""

    @property
    def ignored(self) -> bool:
        """The path is not an entry."""
        ...


class IgnoreLike(Protocol):
    """The ignore rules, as far as a scan needs them."""

    def enter(self, folder: str, names: Collection[str] | None = None) -> object:
        """Take note that the folder's children are judged next: its own ignore files count from now on.

        Args:
            folder: The folder.
            names: What is in it, where that is known: it saves looking for the files.
        """
        ...

    def ignored(self, path: str, is_folder: bool) -> Verdict:
        """Judge one path in a folder that was entered."""
        ...

    def may_descend(self, folder: str) -> bool:
        """Say whether an ignored folder may hold entries all the same: tracked or included files."""
        ...


class Known(NamedTuple):
    """What the scanner knows when a look begins; for reading only.

    Attributes:
        tree: The entries.
        children: For each folder that was listed, the paths in it that are entries, problems or hollow folders.
        problems: Trouble by path.
        hollow: Ignored folders that are walked because they may hold entries.
        follows: Links that are followed, with the absolute path each leads to. Looks keep it up to date.
        refused: Links that were to be followed and could not be. Looks keep it up to date.
    """

    tree: Tree
    children: dict[str, set[str]]
    problems: dict[str, Problem]
    hollow: set[str]
    follows: dict[str, str]
    refused: set[str]


class Setup(NamedTuple):
    """What a scanner was made with.

    Attributes:
        root: Absolute, without links.
        ignore: The rules.
        cache: Stamps and the entries they prove.
        ticks: Learns from every status.
        symlinks: The policy.
        boundary: The absolute folder that followed links must stay in.
        stop: Asked now and then; may be answered from another thread.
        loose_names: The file system finds a name under other spellings too, as macOS does; then only a listing
            says what it is called.
    """

    root: str
    ignore: IgnoreLike
    cache: statcache.StatCache
    ticks: statcache.Ticks
    symlinks: links.Symlinks
    boundary: str
    stop: Callable[[], bool]
    loose_names: bool


def has_loose_names(root: str) -> bool:
    """Say whether the root's file system ignores case or, as on macOS, the form of letters with accents."""
    if sys.platform == "darwin":
        return True
    other = os.path.join(os.path.dirname(root), os.path.basename(root).swapcase())
    try:
        # A name without letters has no other case, and says nothing.
        return other != root and os.path.samefile(root, other)
    except OSError:
        return False


def locate(root: str, follows: Mapping[str, str], path: str) -> str:
    """Return the absolute path of an entry, through the links that are followed."""
    if follows:
        for above in (path, *paths.ancestors(path)):
            real = follows.get(above)
            if real is not None:
                return real + path[len(above) :]
    return f"{root}/{path}" if path else root
