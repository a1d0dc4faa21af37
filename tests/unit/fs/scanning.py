"""What the tests of scanning share: rules that check how they are asked, and small trees."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from devloop.core import paths
from devloop.fs import scan, statcache


class Verdict(NamedTuple):
    ignored: bool


class Rules:
    """Ignores every path with a segment `out`, apart from the tracked ones. Refuses to judge what was not entered."""

    def __init__(self, tracked: Iterable[str] = (), names: Iterable[str] = ("out",)) -> None:
        self.tracked = set(tracked)
        self.names = set(names)
        self.entered: set[str] = set()
        self.judged: list[str] = []

    def enter(self, folder: str) -> None:
        self.entered.add(folder)

    def ignored(self, path: str, is_folder: bool) -> Verdict:
        assert paths.parent(path) in self.entered, path
        self.judged.append(path)
        covered = any(segment in self.names for segment in path.split("/"))
        return Verdict(covered and (is_folder or path not in self.tracked))

    def may_descend(self, folder: str) -> bool:
        return any(path.startswith(folder + "/") for path in self.tracked)


def scanner(root: Path | str, rules: Rules | None = None, **options: str) -> scan.Scanner:
    cache = statcache.StatCache()
    return scan.Scanner(os.fspath(root), ignore=rules or Rules(), cache=cache, **options)


def make(root: Path, *files: str) -> None:
    """Write files whose content is their path."""
    for path in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
