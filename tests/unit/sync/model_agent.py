"""An agent as the engine sees it: an in-memory target that applies batches as the real one does.

It keeps what is really there apart from what devloop shipped, so that a test can tell a deletion that was allowed
from one that was not. What it refuses, and when, is set by the test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence

from devloop.core import entry, ops, paths, problem, tree
from devloop.protocol import messages
from devloop.sync import commands


class ForeignDeletionError(AssertionError):
    """A path was deleted that devloop neither shipped nor may delete."""


@dataclasses.dataclass
class ModelRoot:
    """One folder of a target.

    Attributes:
        tree_id: Its volume's identity.
        disk: What is there.
        managed: What devloop shipped or adopted.
        fresh: Nothing was ever applied.
        refuses: Paths that cannot be written.
    """

    tree_id: str
    disk: dict[str, entry.Entry] = dataclasses.field(default_factory=dict)
    managed: set[str] = dataclasses.field(default_factory=set)
    fresh: bool = True
    refuses: set[str] = dataclasses.field(default_factory=set)

    def managed_tree(self) -> tree.Tree:
        """Return what is really there of what devloop shipped."""
        return tree.Tree({path: self.disk[path] for path in self.managed if path in self.disk})

    def state(self) -> messages.RootState:
        """Return what the hello says of it."""
        shipped = self.managed_tree()
        return messages.RootState("/app", self.tree_id, shipped.digest, len(shipped), self.fresh, empty=not self.disk)

    def rows(self, protected: Callable[[str], bool]) -> list[tuple[str, entry.Entry, bool]]:
        """Return its manifest: everything managed, and of the rest what the rules do not protect."""
        return [
            (path, there, path in self.managed)
            for path, there in sorted(self.disk.items())
            if path in self.managed or not protected(path)
        ]

    def children(self, folder: str) -> list[str]:
        """Return what lies below a folder."""
        return [path for path in self.disk if path.startswith(folder + "/")]

    def write(self, path: str, there: entry.Entry) -> None:
        """Let somebody else put something there, with the folders above it."""
        for above in paths.ancestors(path):
            if self.disk.get(above) != entry.FOLDER:
                self.disk[above] = entry.FOLDER
        if there.kind is not entry.Kind.FOLDER:
            self.wipe(path)
        self.disk[path] = there

    def wipe(self, path: str) -> None:
        """Let somebody else remove a path and what is below it."""
        for gone in [path, *self.children(path)]:
            self.disk.pop(gone, None)


class ModelAgent:
    """The target of one replica.

    Args:
        name: The replica's name.
        roots: How many roots it has.
    """

    def __init__(self, name: str, roots: int) -> None:
        self.name = name
        self._identities = 0
        self.roots = [self._new_root() for _ in range(roots)]
        self.low_water = messages.FIRST_NUMBER - 1

    def _new_root(self) -> ModelRoot:
        self._identities += 1
        return ModelRoot(f"{self.name}-{self._identities}")

    def new_identity(self, root: int) -> ModelRoot:
        """Replace a root by another, empty volume."""
        self.roots[root] = self._new_root()
        return self.roots[root]

    def hello(self) -> tuple[messages.RootState, ...]:
        """Return the roots as the hello tells them."""
        return tuple(root.state() for root in self.roots)

    def apply(
        self,
        batch: commands.Batch,
        cancelled: Iterable[int],
        *,
        deletable: Sequence[Collection[str] | None],
        refused: str = "",
        unsteady: Collection[str] = (),
    ) -> tuple[messages.Ack, dict[tuple[int, str], problem.Problem]]:
        """Apply a batch, and return the ack and its problems.

        Args:
            batch: What was sent.
            cancelled: Ops whose bodies did not come.
            deletable: For each root: unmanaged paths that may be deleted all the same; None for any.
            refused: Refuse the whole batch for this reason.
            unsteady: Paths that are reported as changed in transit.

        Raises:
            ForeignDeletionError: The batch deletes what it must not.
        """
        troubles: dict[tuple[int, str], problem.Problem] = {}
        dropped = set(cancelled)
        self.low_water = max(self.low_water, batch.number)
        if not refused:
            for op in _in_order(op for index, op in enumerate(batch.ops) if index not in dropped):
                reason = self._carry_out(op, deletable[op.root], unsteady)
                if reason is not None:
                    troubles[op.root, op.path] = problem.Problem(op.path, reason, "refused", problem.Side.POD)
        digests = tuple(root.managed_tree().digest for root in self.roots)
        wire = tuple(
            messages.WireProblem(root, paths.to_wire(path), trouble.reason, trouble.detail)
            for (root, path), trouble in troubles.items()
        )
        return messages.Ack(batch.number, self.low_water, digests, wire, refused=refused), troubles

    def _carry_out(
        self, op: ops.Op, deletable: Collection[str] | None, unsteady: Collection[str]
    ) -> problem.Reason | None:
        root = self.roots[op.root]
        if op.path in root.refuses:
            return problem.Reason.NOT_WRITABLE
        if op.path in unsteady:
            return problem.Reason.CHANGED_IN_TRANSIT
        root.fresh = False
        if op.action is ops.Action.FORGET:
            root.managed.discard(op.path)
            return None
        if op.action is ops.Action.DELETE:
            self._delete(root, op.path, deletable)
            return None
        assert op.entry is not None
        if op.action is ops.Action.ADOPT:
            if root.disk.get(op.path) != op.entry:
                return problem.Reason.CHANGED_IN_TRANSIT
            root.managed.add(op.path)
            return None
        return self._put(root, op.path, op.entry)

    def _delete(self, root: ModelRoot, path: str, deletable: Collection[str] | None) -> None:
        if path in root.disk:
            if path not in root.managed and deletable is not None and path not in deletable:
                raise ForeignDeletionError(f"{self.name}: {path} is not devloop's to delete")
            if not root.children(path):
                del root.disk[path]
        root.managed.discard(path)

    def _put(self, root: ModelRoot, path: str, wanted: entry.Entry) -> problem.Reason | None:
        for above in reversed(list(paths.ancestors(path))):
            there = root.disk.get(above)
            if there is not None and there.kind is not entry.Kind.FOLDER:
                if above not in root.managed:
                    return problem.Reason.IN_THE_WAY
                root.managed.discard(above)
            root.disk[above] = entry.FOLDER
        if wanted.kind is not entry.Kind.FOLDER and root.children(path):
            return problem.Reason.IN_THE_WAY
        root.disk[path] = wanted
        root.managed.add(path)
        return None


def _in_order(batch: Iterable[ops.Op]) -> list[ops.Op]:
    """Return the ops in the order in which an agent carries them out: deletions first, deepest first."""

    def turn(op: ops.Op) -> tuple[int, int]:
        if op.action is ops.Action.DELETE:
            return 0, -paths.depth(op.path)
        if op.entry is not None and op.entry.kind is entry.Kind.FOLDER:
            return 1, paths.depth(op.path)
        return 2, paths.depth(op.path)

    return sorted(batch, key=turn)
