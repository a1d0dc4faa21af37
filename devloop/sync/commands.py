"""What the engine wants done, as values; the daemon carries it out.

Nothing here does anything by itself. A command names its replica and batch by name and number, so that a list of
commands can be recorded, compared in a test, and replayed.
"""

from __future__ import annotations

import msgspec

from devloop.core import ops, tree
from devloop.core.entry import Kind
from devloop.protocol import messages


class Batch(msgspec.Struct):
    """A batch under way.

    Attributes:
        number: Rising within a session.
        ops: What it does.
        hooks: What runs after it.
        reload: The app takes it up.
        urgent: It may use the reserve that bulk leaves free.
        git: It is the outcome of a git operation.
        began_s: When the first of its changes was seen.
        cancelled: Ops whose bodies will not come; grows while it is under way.
        asked: Ops whose bodies the sender was asked to drop.
    """

    number: int
    ops: tuple[ops.Op, ...]
    hooks: tuple[messages.HookSpec, ...] = ()
    reload: bool = True
    urgent: bool = False
    git: bool = False
    began_s: float = 0.0
    cancelled: set[int] = msgspec.field(default_factory=set)
    asked: set[int] = msgspec.field(default_factory=set)
    _bodies: dict[tuple[int, str], int] | None = None

    def body_index(self, root: int, path: str) -> int | None:
        """Return the number of the op that carries a body for this path, or None."""
        if self._bodies is None:
            self._bodies = {(op.root, op.path): index for index, op in enumerate(self.ops) if op.body_bytes}
        return self._bodies.get((root, path))


class Command(msgspec.Struct, frozen=True):
    """The base of all commands."""


class Send(Command, frozen=True):
    """Send this batch to this replica."""

    replica: str
    batch: Batch


class CancelBodies(Command, frozen=True):
    """Stop sending these ops' bodies if there is still time, and report it by `Engine.body_changed`."""

    replica: str
    batch: int
    ops: tuple[int, ...]


class AskManifest(Command, frozen=True):
    """Ask the replica what is really in this root, and report it by `Engine.manifest`."""

    replica: str
    root: int


class Distrust(Command, frozen=True):
    """End the link: what the replica says of this root does not agree with itself, however often it is asked."""

    replica: str
    root: int


class ResetBaseline(Command, frozen=True):
    """Store the replica's known tree of this root anew."""

    replica: str
    root: int
    tree_id: str


class SaveBaseline(Command, frozen=True):
    """Store what was just acked."""

    replica: str
    root: int
    delta: tree.TreeDelta


class Rescan(Command, frozen=True):
    """Look at these paths again."""

    root: int
    paths: tuple[str, ...]


class StartApp(Command, frozen=True):
    """The replica has everything: its app may start, unless it runs."""

    replica: str


class HoldChanged(Command, frozen=True):
    """Deletions are held, or no longer.

    Attributes:
        count: How many wait; 0 when the hold is over.
        managed: Of how many files.
        paths: Some of them.
    """

    count: int
    managed: int
    paths: tuple[str, ...]


class Settled(Command, frozen=True):
    """Every replica acked everything that it can: say how the service stands.

    It is in sync only where `failed`, `held` and `drifted` are 0.

    Attributes:
        files: Files and links put since the last time.
        deletes: Paths removed.
        total_bytes: Size of what was put.
        elapsed_s: From the first change to now.
        first: For the first time.
        failed: Paths that could not be read or applied, and syncs that are stopped.
        skipped: Paths that devloop does not ship: sockets, links that lead out.
        held: Deletions that wait for approval.
        drifted: Managed paths that somebody else changed in the target.
    """

    files: int
    deletes: int
    total_bytes: int
    elapsed_s: float
    first: bool
    failed: int = 0
    skipped: int = 0
    held: int = 0
    drifted: int = 0


class Tally:
    """Counts what happened since the service last settled; a path counts once, however many replicas take it.

    Attributes:
        began_s: When the first change was seen; None while nothing happened.
    """

    def __init__(self) -> None:
        self.began_s: float | None = None
        self._put: dict[tuple[int, str], int] = {}
        self._gone: set[tuple[int, str]] = set()

    def begin(self, began_s: float) -> None:
        """Note a change; the first one counts."""
        if self.began_s is None or began_s < self.began_s:
            self.began_s = began_s

    def acked(self, op: ops.Op) -> None:
        """Count an op that was carried out."""
        key = (op.root, op.path)
        if op.action is ops.Action.PUT:
            if not _is_folder(op):
                self._put[key] = op.body_bytes
            self._gone.discard(key)
        elif op.action is ops.Action.DELETE:
            self._gone.add(key)
            self._put.pop(key, None)

    def settle(self, now_s: float, *, first: bool, failed: int, skipped: int, held: int, drifted: int = 0) -> Settled:
        """Return what to say now."""
        elapsed_s = max(0.0, now_s - self.began_s) if self.began_s is not None else 0.0
        return Settled(
            files=len(self._put),
            deletes=len(self._gone),
            total_bytes=sum(self._put.values()),
            elapsed_s=elapsed_s,
            first=first,
            failed=failed,
            skipped=skipped,
            held=held,
            drifted=drifted,
        )


def _is_folder(op: ops.Op) -> bool:
    return op.entry is not None and op.entry.kind is Kind.FOLDER
