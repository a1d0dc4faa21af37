"""What the laptop may ask of paths that devloop did not ship: the full manifest, their removal, and their content.

`manifest` is for the first meeting of a laptop with a root that has content already. `remove_extra` carries out
`extra: delete`. `read_for_pull` gives a file's content to the laptop for `pull:`. Nothing here follows a link, and
nothing here touches what the ignore rules protect.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
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


class Removed(msgspec.Struct, frozen=True):
    """What became of extra paths that were to be removed.

    Attributes:
        removed: How many are gone.
        kept: Folders that stay because something is left in them.
        problems: What could not be removed, or must not be.
    """

    removed: int
    kept: tuple[str, ...] = ()
    problems: tuple[problem.Problem, ...] = ()


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


def remove_extra(root: Root, shelf: store.Store, ignored: sweep.Ignored, chosen: Iterable[str]) -> Removed:
    """Remove paths that are neither managed nor protected; folders only when nothing is left in them.

    Args:
        root: The open root.
        shelf: Its manifest.
        ignored: As in `sweep.Sweep`, asked for the path and for each folder above it.
        chosen: The paths, as a report listed them.
    """
    removed = 0
    kept: list[str] = []
    problems: list[problem.Problem] = []
    with dirfd.Folders(root.data_fd) as folders:
        for path in sorted(chosen, key=paths.depth, reverse=True):
            refused = _refusal(shelf, ignored, path)
            if refused is not None:
                problems.append(refused)
                continue
            try:
                removed += _remove(folders, ignored, path)
            except OSError as error:
                if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                    kept.append(path)
                elif error.errno not in store.ABSENT:
                    problems.append(problem.from_write_error(path, error, "cannot be deleted in the target"))
    return Removed(removed, tuple(kept), tuple(problems))


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


def _refusal(shelf: store.Store, ignored: sweep.Ignored, path: str) -> problem.Problem | None:
    """Return why a path must not be removed as an extra one, or None."""
    try:
        paths.check(path)
    except paths.UnsafePathError as unsafe:
        return problem.Problem(path, problem.Reason.UNSAFE_NAME, unsafe.reason, problem.Side.POD)
    if shelf.managed(path) is not None:
        return problem.Problem(path, problem.Reason.CONFLICT, "it is managed, not extra", problem.Side.POD)
    if any(ignored(folder, True) for folder in paths.ancestors(path)):
        return problem.Problem(path, problem.Reason.CONFLICT, "the ignore rules protect it", problem.Side.POD)
    return None


def _remove(folders: dirfd.Folders, ignored: sweep.Ignored, path: str) -> int:
    folder, _, name = path.rpartition("/")
    fd = folders.get(folder)
    info = atomic.look(fd, name)
    if info is None or ignored(path, stat.S_ISDIR(info.st_mode)):
        return 0
    if stat.S_ISDIR(info.st_mode):
        os.rmdir(name, dir_fd=fd)
        folders.forget(path)
    else:
        os.unlink(name, dir_fd=fd)
    return 1


def _unreadable(path: str, error: OSError) -> problem.Problem:
    return problem.Problem(
        path, problem.Reason.UNREADABLE, error.strerror or str(error), problem.Side.POD, error.errno or 0
    )
