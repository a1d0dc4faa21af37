"""One open batch: its ops, and the bodies that have come for them.

Bodies go to the stage as they come, and are proved against the digest that was announced; nothing outside the stage
changes. `agent.applier` opens, fills and commits batches, and `agent.placer` carries out what is ready here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from agent import roots, staging, store
from devloop import errors
from devloop.core import entry, ops, paths, problem
from devloop.fs import atomic, dirfd

MOUNTED: Final = "a volume of the pod is mounted there; leave it out with `ignore:` in devloop.yaml"

_NEED_ENTRY: Final = frozenset({ops.Action.PUT, ops.Action.ADOPT})


class Site(msgspec.Struct, frozen=True):
    """One root with what belongs to it.

    Attributes:
        root: The open root.
        shelf: Its manifest.
        stage: Its stage.
    """

    root: roots.Root
    shelf: store.Store
    stage: staging.Stage


class Batch:
    """An open batch. Used by one thread only.

    Args:
        batch_id: Its number, for messages.
        sites: The agent's roots; an op's root number counts in them.

    Attributes:
        ops: The ops, in the order they came.
        staged: What is ready, by the op's index.
        mode_only: Ops whose content is at their path already.
        dropped: Ops that will not be carried out.
        problems: Why, with the number of the root, where it is not the peer's own wish.
        stopped: The disk is full: nothing of the batch will be carried out.
    """

    def __init__(self, batch_id: int, sites: Sequence[Site]) -> None:
        self.batch_id = batch_id
        self._sites = sites
        self._seen: set[tuple[int, str]] = set()
        self._incoming: dict[int, staging.Incoming] = {}
        self.ops: list[ops.Op] = []
        self.staged: dict[int, staging.Staged] = {}
        self.mode_only: set[int] = set()
        self.dropped: set[int] = set()
        self.problems: list[tuple[int, problem.Problem]] = []
        self.stopped = False

    def add(self, fresh: Sequence[ops.Op]) -> None:
        """Add ops; see `Applier.add_ops`."""
        self._check(fresh)
        start = len(self.ops)
        self.ops.extend(fresh)
        for index, op in enumerate(fresh, start):
            try:
                paths.check(op.path)
            except paths.UnsafePathError as unsafe:
                self.fail(index, problem.Reason.UNSAFE_NAME, unsafe.reason)
                continue
            if _is_kept(self._sites[op.root].root.spec, op):
                self.fail(index, problem.Reason.IN_THE_WAY, MOUNTED)
                continue
            target = op.entry.target if op.action is ops.Action.PUT and op.entry is not None else b""
            if target and escapes(op.path, target):
                self.fail(index, problem.Reason.LINK_ESCAPES, f"the link leads to {os.fsdecode(target)!r}")

    def body(self, index: int, data: bytes | memoryview) -> None:
        """Take a whole body; see `Applier.body`."""
        op, wanted = self.awaiting(index)
        if self.stopped or index in self.dropped:
            return
        if index in self._incoming:
            raise errors.RemoteProtocolError(f"batch {self.batch_id}: a whole body for op {index} after a part of it")
        if len(data) != wanted.size or hashlib.sha256(data).digest() != wanted.digest:
            self._not_as_announced(index)
            return
        site = self._sites[op.root]
        try:
            replaces = site.shelf.managed(op.path) is not None
            self.staged[index] = site.stage.write(data, executable=wanted.executable, replaces=replaces)
        except OSError as error:
            self._staging_failed(index, error)

    def chunk(self, index: int, offset: int, data: bytes | memoryview, *, last: bool) -> None:
        """Take a part of a large body; see `Applier.chunk`."""
        op, wanted = self.awaiting(index)
        if self.stopped or index in self.dropped:
            return
        stage = self._sites[op.root].stage
        try:
            incoming = self._incoming.get(index)
            if incoming is None:
                incoming = self._incoming[index] = stage.begin(executable=wanted.executable)
            if offset != incoming.received_bytes:
                raise errors.RemoteProtocolError(f"batch {self.batch_id}: op {index} has a gap in its body at {offset}")
            if offset + len(data) > wanted.size:
                self._not_as_announced(index)
                return
            stage.add(incoming, data)
            if not last:
                return
            if incoming.is_whole(wanted):
                self.staged[index] = stage.finish(incoming)
                del self._incoming[index]
            else:
                self._not_as_announced(index)
        except OSError as error:
            self._staging_failed(index, error)

    def copy(self, index: int, source_root: int, source_path: str) -> bool:
        """Take content that is here already; see `Applier.copy`."""
        op, wanted = self.awaiting(index)
        row = managed_file(self._sites, source_root, source_path)
        if self.stopped or index in self.dropped:
            return True
        if row is None or row.present is None or row.present.digest != wanted.digest:
            return False
        folder, _, name = source_path.rpartition("/")
        try:
            with dirfd.Folders(self._sites[source_root].root.data_fd) as folders:
                fd = folders.get(folder)
                if (source_root, source_path) == (op.root, op.path):
                    info = atomic.look(fd, name)
                    if info is None or not store.matches(row, info):
                        return False
                    self.mode_only.add(index)
                    return True
                source_fd = atomic.open_regular(fd, name)
        except OSError:
            return False
        return self._copy_from(index, source_fd, op, wanted)

    def made(self, index: int, pieces: Iterable[bytes]) -> bool:
        """Stage a body that is made here, piece by piece, so that it is never in memory as a whole.

        Returns:
            True if that gave the announced content (or the op is to be dropped anyway); False if a body must come.

        Raises:
            DeltaError: From `pieces`; nothing stays staged.
        """
        op, wanted = self.awaiting(index)
        if self.stopped or index in self.dropped:
            return True
        stage = self._sites[op.root].stage
        try:
            incoming = self._incoming[index] = stage.begin(executable=wanted.executable)
            for piece in pieces:
                stage.add(incoming, piece)
            if incoming.is_whole(wanted):
                self.staged[index] = stage.finish(incoming)
                del self._incoming[index]
                return True
            self._discard(index)
        except OSError as error:
            self._staging_failed(index, error)
            return True
        except BaseException:
            self._discard(index)
            raise
        return False

    def cancel(self, indexes: Iterable[int]) -> None:
        """Drop ops; see `Applier.cancel`."""
        for index in indexes:
            if not 0 <= index < len(self.ops):
                raise errors.RemoteProtocolError(f"batch {self.batch_id} has no op {index}")
            self.dropped.add(index)
            self._discard(index)

    def complete(self) -> None:
        """Stage what needs no body, and fail what did not get its own: nothing more will come."""
        for index, op in enumerate(self.ops):
            if self.stopped:
                return
            wanted = op.entry
            if op.action is not ops.Action.PUT or wanted is None or wanted.kind is entry.Kind.FOLDER:
                continue
            if index in self.dropped or index in self.staged or index in self.mode_only:
                continue
            stage = self._sites[op.root].stage
            try:
                if wanted.kind is entry.Kind.LINK:
                    self.staged[index] = stage.link(wanted.target)
                elif not wanted.size and wanted.digest == entry.EMPTY_DIGEST:
                    self.staged[index] = stage.write(b"", executable=wanted.executable)
                else:
                    self.fail(index, problem.Reason.CHANGED_IN_TRANSIT, "its content did not arrive")
                    self._discard(index)
            except OSError as error:
                self._staging_failed(index, error)

    def fail(self, index: int, reason: problem.Reason, detail: str, number: int = 0) -> None:
        """Drop an op and remember why."""
        op = self.ops[index]
        self.dropped.add(index)
        self.problems.append((op.root, problem.Problem(op.path, reason, detail, problem.Side.POD, number)))

    def stop(self, index: int, error: OSError) -> None:
        """Give up the whole batch because the disk is full, and give its space back at once."""
        detail = f"{error.strerror or error}: nothing of this batch of {len(self.ops)} was applied"
        self.fail(index, problem.Reason.NO_SPACE, detail, error.errno or 0)
        self.stopped = True
        self.discard_all()
        for site in self._sites:
            site.stage.tidy()

    def discard_all(self) -> None:
        """Drop whatever is still staged."""
        for index in [*self.staged, *self._incoming]:
            self._discard(index)

    def staged_names(self, root: int) -> set[str]:
        """Return the names that the batch uses in the stage of one root."""
        names = [(index, held.name) for index, held in self.staged.items()]
        names += [(index, held.name) for index, held in self._incoming.items()]
        return {name for index, name in names if self.ops[index].root == root}

    def _check(self, fresh: Sequence[ops.Op]) -> None:
        """Refuse ops that no honest peer sends, before any of them is taken."""
        for op in fresh:
            if not 0 <= op.root < len(self._sites):
                raise errors.RemoteProtocolError(f"batch {self.batch_id} names root {op.root}, which is not there")
            if op.action in _NEED_ENTRY and (op.entry is None or not entry.is_valid(op.entry)):
                raise errors.RemoteProtocolError(f"batch {self.batch_id}: {op.path!r} came without a valid entry")
        keys = {(op.root, op.path) for op in fresh}
        if len(keys) != len(fresh) or not self._seen.isdisjoint(keys):
            raise errors.RemoteProtocolError(f"batch {self.batch_id} names a path twice")
        self._seen |= keys

    def awaiting(self, index: int) -> tuple[ops.Op, entry.Entry]:
        """Return what a body that just came is for.

        Raises:
            errors.RemoteProtocolError: No such op, or it needs no body, or has one.
        """
        if not 0 <= index < len(self.ops):
            raise errors.RemoteProtocolError(f"batch {self.batch_id} has no op {index}")
        op = self.ops[index]
        if op.action is not ops.Action.PUT or op.entry is None or op.entry.kind is not entry.Kind.FILE:
            raise errors.RemoteProtocolError(f"batch {self.batch_id}: op {index} takes no body")
        if index in self.staged or index in self.mode_only:
            raise errors.RemoteProtocolError(f"batch {self.batch_id}: a second body for op {index}")
        return op, op.entry

    def _copy_from(self, index: int, source_fd: int, op: ops.Op, wanted: entry.Entry) -> bool:
        try:
            staged = self._sites[op.root].stage.copy(source_fd, wanted)
        except OSError as error:
            self._staging_failed(index, error)
            return True
        finally:
            os.close(source_fd)
        if staged is not None:
            self.staged[index] = staged
        return staged is not None

    def _not_as_announced(self, index: int) -> None:
        self.fail(index, problem.Reason.CHANGED_IN_TRANSIT, "its content is not what was announced")
        self._discard(index)

    def _staging_failed(self, index: int, error: OSError) -> None:
        if error.errno in staging.FULL:
            self.stop(index, error)
            return
        found = problem.from_write_error(self.ops[index].path, error, "cannot be staged in the target")
        self.fail(index, found.reason, found.detail, found.errno)
        self._discard(index)

    def _discard(self, index: int) -> None:
        stage = self._sites[self.ops[index].root].stage
        staged, incoming = self.staged.pop(index, None), self._incoming.pop(index, None)
        if staged is not None:
            stage.drop(staged.name)
        if incoming is not None:
            stage.drop(incoming.name)
        self.mode_only.discard(index)


def _is_kept(spec: roots.RootSpec, op: ops.Op) -> bool:
    """Say whether an op would touch what is mounted in the app's container."""
    if spec.keeps(op.path):
        return True
    is_folder = op.action is ops.Action.PUT and op.entry is not None and op.entry.kind is entry.Kind.FOLDER
    return not is_folder and spec.holds_kept(op.path)


def managed_file(sites: Sequence[Site], root: int, path: str) -> store.Row | None:
    """Return the row of a path that content is to be taken from, or None if it is not managed.

    Raises:
        errors.RemoteProtocolError: No such root, or an unsafe path.
    """
    if not 0 <= root < len(sites):
        raise errors.RemoteProtocolError(f"content was to be taken from root {root}, which is not there")
    try:
        paths.check(path)
    except paths.UnsafePathError as unsafe:
        raise errors.RemoteProtocolError(f"content was to be taken from {path!r}: {unsafe.reason}") from unsafe
    return sites[root].shelf.managed(path)


def escapes(path: str, target: bytes) -> bool:
    """Say whether a link at `path` leads out of its root, by its words alone."""
    if target.startswith(b"/"):
        return True
    depth = paths.depth(path) - 1
    for segment in target.split(b"/"):
        if segment == b"..":
            depth -= 1
        elif segment not in {b"", b"."}:
            depth += 1
        if depth < 0:
            return True
    return False
