"""A root with its applier, for tests, and trees written down briefly.

A tree is a dict: text is a file, `X("…")` an executable one, `L("…")` a link, `D` a folder. Folders above a path are
made and shipped without being named.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from agent import applier, roots, store
from devloop.core import entry, ops, paths, tree


class X(NamedTuple):
    text: str


class L(NamedTuple):
    target: str


class Folder(NamedTuple):
    pass


D = Folder()
Thing = str | X | L | Folder
Things = Mapping[str, Thing]


def content(thing: Thing) -> bytes:
    text = thing.text if isinstance(thing, X) else thing if isinstance(thing, str) else ""
    return text.encode()


def entry_of(thing: Thing) -> entry.Entry:
    if isinstance(thing, Folder):
        return entry.folder()
    if isinstance(thing, L):
        return entry.link(os.fsencode(thing.target))
    data = content(thing)
    return entry.file(hashlib.sha256(data).digest(), len(data), executable=isinstance(thing, X))


def whole(things: Things) -> dict[str, Thing]:
    """Add the folders above."""
    full: dict[str, Thing] = {}
    for path, thing in things.items():
        for folder in paths.ancestors(path):
            full.setdefault(folder, D)
        full[path] = thing
    return full


def spec_in(folder: Path, name: str = "r") -> roots.RootSpec:
    base = folder / name
    return roots.RootSpec(f"/{name}", str(base / "data"), str(base / "stage"), str(base / "state"))


def read_disk(folder: Path) -> dict[str, Thing]:
    """Return what is there, by looking at it in the simplest way."""
    found: dict[str, Thing] = {}
    for above, folders, files in os.walk(folder):
        for name in folders + files:
            full = Path(above) / name
            path = str(full.relative_to(folder))
            info = full.lstat()
            if stat.S_ISLNK(info.st_mode):
                found[path] = L(str(full.readlink()))
            elif stat.S_ISDIR(info.st_mode):
                found[path] = D
            else:
                text = full.read_bytes().decode()
                found[path] = X(text) if info.st_mode & 0o100 else text
    return found


def write_disk(folder: Path, things: Things) -> None:
    """Make things behind devloop's back."""
    for path, thing in things.items():
        full = folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(thing, Folder):
            full.mkdir(exist_ok=True)
        elif isinstance(thing, L):
            full.symlink_to(thing.target)
        else:
            full.write_bytes(content(thing))
            full.chmod(0o755 if isinstance(thing, X) else 0o644)


class Target:
    def __init__(self, spec: roots.RootSpec, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.spec = spec
        self.data = Path(spec.data)
        self.root = roots.Root.open(spec)
        self.store = store.Store(self.root)
        self.store.open()
        self.applier = applier.Applier([self.root], [self.store], clock_ns)
        self.recovered = self.applier.recover()
        self._batch = 0

    def close(self) -> None:
        self.applier.close()
        self.store.close()
        self.root.close()

    def batch(self, *todo: ops.Op, bodies: Things | None = None) -> applier.Applied:
        """Apply ops, with bodies for the files among them."""
        number = self.begin(*todo, bodies=bodies)
        return self.applier.commit(number)

    def begin(self, *todo: ops.Op, bodies: Things | None = None) -> int:
        self._batch += 1
        self.applier.begin(self._batch, todo)
        for index, op in enumerate(todo):
            if op.body_bytes and bodies is not None and op.path in bodies:
                self.applier.body(self._batch, index, content(bodies[op.path]))
        return self._batch

    def put(self, things: Things) -> applier.Applied:
        return self.batch(*(ops.put(0, path, entry_of(thing)) for path, thing in things.items()), bodies=things)

    def become(self, things: Things) -> applier.Applied:
        """Apply what turns the managed tree into this one, as the laptop would plan it."""
        return self.batch(*steps_to(self.store.tree, things), bodies=things)

    def disk(self) -> dict[str, Thing]:
        return read_disk(self.data)

    def staged(self) -> list[str]:
        """What is in the stage once everything that was dropped is gone."""
        assert self.applier.tidy()
        return os.listdir(self.root.stage_fd)

    def assert_agrees(self) -> None:
        """The manifest says what is on the disk, for every managed path."""
        there = {path: entry_of(thing) for path, thing in self.disk().items()}
        assert dict(self.store.tree) == {path: there[path] for path in self.store.tree}
        assert self.store.tree.digest == tree.Tree(dict(self.store.tree)).digest
        assert not self.staged()


def steps_to(managed: Mapping[str, entry.Entry], things: Things) -> list[ops.Op]:
    wanted = {path: entry_of(thing) for path, thing in whole(things).items()}
    delta = tree.diff(managed, wanted)
    return [ops.put(0, path, item) for path, item in sorted(delta.put.items())] + [
        ops.delete(0, path) for path in sorted(delta.gone)
    ]


@contextlib.contextmanager
def opened(folder: Path, clock_ns: Callable[[], int] = time.time_ns) -> Iterator[Target]:
    target = Target(spec_in(folder), clock_ns)
    try:
        yield target
    finally:
        target.close()
