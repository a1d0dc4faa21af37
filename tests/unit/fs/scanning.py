"""What the tests of scanning share: rules that check how they are asked, and small trees."""

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from devloop.core import entry, paths
from devloop.fs import hashing, scan, statcache


class Verdict(NamedTuple):
    ignored: bool


class Rules:
    """Ignores every path with a segment `out`, apart from the tracked ones. Refuses to judge what was not entered."""

    def __init__(self, tracked: Iterable[str] = (), names: Iterable[str] = ("out",)) -> None:
        self.tracked = set(tracked)
        self.names = set(names)
        self.entered: set[str] = set()
        self.judged: list[str] = []

    def enter(self, folder: str, names: Collection[str] | None = None) -> None:
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


def file_of(content: str | bytes, *, executable: bool = False) -> entry.Entry:
    raw = content.encode() if isinstance(content, str) else content
    return entry.file(hashlib.sha256(raw).digest(), len(raw), executable=executable)


def prove_all(subject: scan.Scanner) -> None:
    """Scan until every stamp is proven, with a clock that makes great steps."""
    ahead = 0
    real = time.monotonic_ns
    with pytest.MonkeyPatch.context() as patch:
        while subject.unproven:
            ahead += 10_000_000_000
            now = real() + ahead
            patch.setattr(time, "monotonic_ns", lambda now=now: now)
            subject.scan(subject.unproven)


def deny(patch: pytest.MonkeyPatch, call: str, name: str) -> None:
    """Make opening everything of that name fail, as it does for anyone but root."""
    real = getattr(os, call)

    def denied(path: Any, *args: Any, **options: Any) -> Any:
        if os.path.basename(os.fspath(path)) == name:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    patch.setattr(os, call, denied)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more\n")


def meddle(patch: pytest.MonkeyPatch, act: Callable[[], object], times: int) -> None:
    """Do something to the disk after each of the first reads of content."""
    real, left = hashing.read_into, times

    def reading(fd: int, buffer: memoryview) -> int:
        nonlocal left
        count = real(fd, buffer)
        if left:
            left -= 1
            act()
        return count

    patch.setattr(hashing, "read_into", reading)
