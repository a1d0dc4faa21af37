"""What the laptop may ask of paths that devloop did not ship: the full manifest, and their content.

`manifest` is for the first meeting of a laptop with a root that has content already. `read_for_pull` gives a file's
content to the laptop for `pull:`. Nothing here follows a link or changes anything: what `extra: delete` removes goes
by batches, as every deletion does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Final

import msgspec

from agent import store, sweep
from agent.roots import Root
from devloop.core import entry, paths, problem
from devloop.fs import atomic, dirfd

# A part of a pulled file: what fits into one frame of the protocol.
PULL_CHUNK_BYTES: Final = 256 * 1024


class Manifest(msgspec.Struct, frozen=True):
    """What is in a root.

    Attributes:
        entries: Every path that is not protected, or is managed.
        problems: What could not be read; sockets, FIFOs and devices are left out silently.
        protected_count: How many paths the ignore rules cover; a covered folder counts as one.
    """

    entries: dict[str, entry.Entry]
    problems: tuple[problem.Problem, ...] = ()
    protected_count: int = 0


def manifest(root: Root, shelf: store.Store, ignored: sweep.Ignored, *, all: bool = True) -> Manifest:
    """Return what is in a root, with digests; files that are as shipped are not read again.

    Takes as long as reading everything else takes: the caller chooses the thread.

    Args:
        root: The open root.
        shelf: Its manifest, verified.
        ignored: As in `sweep.Sweep`.
        all: False gives the managed entries only, from memory.
    """
    if not all:
        return Manifest(dict(shelf.tree))
    found: dict[str, entry.Entry] = dict(shelf.tree)
    problems: list[problem.Problem] = []
    protected = 0
    todo = [""]
    while todo:
        folder = todo.pop()
        try:
            fd = sweep.open_folder(root, folder)
        except OSError as error:
            problems.append(_unreadable(folder, error))
            continue
        try:
            for name, is_folder in sweep.list_folder(fd):
                path = paths.join(folder, name)
                covered = name in paths.RESERVED or ignored(path, is_folder)
                if covered and shelf.managed(path) is None:
                    protected += 1
                    continue
                # What is managed in a covered folder is known from the manifest; nothing else in it may be told.
                if is_folder and not covered:
                    todo.append(path)
                _examine(shelf, fd, name, path, found, problems)
        finally:
            os.close(fd)
    return Manifest(found, tuple(problems), protected)


def read_for_pull(root: Root, path: str, wanted: entry.Entry) -> Iterator[bytes | problem.Problem]:
    """Yield a file's content in parts, and a problem as the last item if it was not the wanted content after all.

    Args:
        root: The open root.
        path: The path; checked here.
        wanted: What a report said of it.
    """
    try:
        paths.check(path)
    except paths.UnsafePathError as unsafe:
        yield problem.Problem(path, problem.Reason.UNSAFE_NAME, unsafe.reason, problem.Side.POD)
        return
    folder, _, name = path.rpartition("/")
    hasher = hashlib.sha256()
    size = 0
    try:
        with dirfd.Folders(root.data_fd) as folders:
            fd = atomic.open_regular(folders.get(folder), name)
        try:
            for data in atomic.chunks(fd, PULL_CHUNK_BYTES):
                hasher.update(data)
                size += len(data)
                if size > wanted.size:
                    break
                yield data
        finally:
            os.close(fd)
    except OSError as error:
        yield _unreadable(path, error)
        return
    if size != wanted.size or hasher.digest() != wanted.digest:
        yield problem.Problem(
            path, problem.Reason.CHANGED_IN_TRANSIT, "it changed in the target while it was read", problem.Side.POD
        )


def _examine(
    shelf: store.Store,
    fd: int,
    name: str,
    path: str,
    found: dict[str, entry.Entry],
    problems: list[problem.Problem],
) -> None:
    try:
        info = atomic.look(fd, name)
        if info is None:
            return
        row = shelf.managed(path)
        present = row.present if row is not None and store.matches(row, info) else atomic.entry_at(fd, name, info)
    except OSError as error:
        problems.append(_unreadable(path, error))
        return
    if present is not None:
        found[path] = present


def _unreadable(path: str, error: OSError) -> problem.Problem:
    return problem.Problem(
        path, problem.Reason.UNREADABLE, error.strerror or str(error), problem.Side.POD, error.errno or 0
    )
