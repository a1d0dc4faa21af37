"""From two trees to ops: what must be done in the target so that it becomes what the laptop has.

Pure functions of values. The engine decides when to plan and remembers what was sent; the rules that keep people's
work live here: what may be deleted, what is held for approval, what may go at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, KeysView, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from devloop.core import ops, paths
from devloop.core.entry import Entry, Kind

# Deletions of more than this share of the managed files, and of at least so many, wait for approval (rule 5).
HOLD_SHARE: Final = 0.2
HOLD_FLOOR: Final = 20

# Bodies from this size on travel in a batch of their own, so that the small files saved with them do not wait.
# 8 MiB: beyond it there is no delta, and at 10 Mbit/s it takes seven seconds.
BULK_FILE_BYTES: Final = 8 * 1024 * 1024


_Key: TypeAlias = tuple[int, str]


class Plan(msgspec.Struct, frozen=True):
    """What one planning came to.

    Attributes:
        flow: Ops that can go now.
        held: Deletions that wait for approval, and what would take the place of a folder they are in.
        blocked: Paths that must wait for a batch under way.
    """

    flow: tuple[ops.Op, ...] = ()
    held: tuple[ops.Op, ...] = ()
    blocked: frozenset[tuple[int, str]] = frozenset()


def changes(
    root: int,
    wanted: Mapping[str, Entry],
    known: Mapping[str, Entry],
    candidates: Iterable[str],
    hidden: Collection[str],
) -> Iterator[ops.Op]:
    """Yield the op for each candidate path on which the two trees differ.

    Args:
        root: The sync's number.
        wanted: The laptop's tree.
        known: What the agent has acked.
        candidates: The paths to look at.
        hidden: Paths that are not in the laptop's tree because the rules cover them now although they are still
            on its disk: they are left where they are, and forgotten.
    """
    for path in candidates:
        new, old = wanted.get(path), known.get(path)
        if new == old:
            continue
        if new is not None:
            yield ops.put(root, path, new)
        elif path in hidden:
            yield ops.forget(root, path)
        else:
            yield ops.delete(root, path)


class Busy:
    """The paths of batches under way, and the question whether another op may overtake them.

    An op must wait if its own path, one above it that is not simply a folder being made, or one below it is busy.
    """

    def __init__(self) -> None:
        self._paths: dict[_Key, ops.Op] = {}
        # How many of the paths are right in a folder; and in how many folders, at any depth below one, some are.
        self._inside: dict[_Key, int] = {}
        self._above: dict[_Key, int] = {}

    def add(self, op: ops.Op) -> None:
        """Take up an op that is on its way."""
        is_known = (op.root, op.path) in self._paths
        self._paths[op.root, op.path] = op
        if is_known:
            return
        folder = paths.parent(op.path)
        count = self._inside.get((op.root, folder), 0)
        self._inside[op.root, folder] = count + 1
        if folder and not count:
            for above in (folder, *paths.ancestors(folder)):
                self._above[op.root, above] = self._above.get((op.root, above), 0) + 1

    def remove(self, op: ops.Op) -> None:
        """Forget an op that was acked or cancelled."""
        if self._paths.pop((op.root, op.path), None) is None:
            return
        folder = paths.parent(op.path)
        left = self._inside[op.root, folder] - 1
        if left:
            self._inside[op.root, folder] = left
            return
        del self._inside[op.root, folder]
        for above in (folder, *paths.ancestors(folder)) if folder else ():
            self._above[op.root, above] -= 1
            if not self._above[op.root, above]:
                del self._above[op.root, above]

    def among(self, keys: KeysView[_Key]) -> set[_Key]:
        """Return which of some paths, by root and path, are on their way."""
        return self._paths.keys() & keys

    def blocks(self, op: ops.Op) -> bool:
        """Say whether the op must wait for one that is on its way."""
        key = (op.root, op.path)
        if key in self._paths:
            return True
        if key in self._above and not is_folder_put(op):
            return True
        for above in paths.ancestors(op.path):
            busy = self._paths.get((op.root, above))
            if busy is not None and not is_folder_put(busy):
                return True
        return False

    def has_below(self, op: ops.Op) -> bool:
        """Say whether a path below the op's own is among these."""
        return (op.root, op.path) in self._above

    def __contains__(self, key: tuple[int, str]) -> bool:
        return key in self._paths

    def __len__(self) -> int:
        return len(self._paths)


def is_folder_put(op: ops.Op) -> bool:
    """Say whether the op only makes sure that a folder is there."""
    return op.action in {ops.Action.PUT, ops.Action.ADOPT} and op.entry is not None and op.entry.kind is Kind.FOLDER


def make(
    candidates: Iterable[ops.Op],
    busy: Busy,
    *,
    managed_files: Callable[[], int],
    recent: int,
    approved: Collection[tuple[int, str]],
    holding: Busy,
) -> Plan:
    """Sort ops into those that go, those that are held and those that must wait.

    Args:
        candidates: All that is to be done.
        busy: What is on its way.
        managed_files: Counts the files that the agent holds for us; asked only where it can matter, because it
            costs a pass over the tree.
        recent: How many files were deleted in the last seconds: one big deletion may come in several bursts.
        approved: Deletions that the user, or a git operation that was seen, vouches for.
        holding: What is held already.
    """
    flow: list[ops.Op] = []
    deletions: list[ops.Op] = []
    blocked: set[tuple[int, str]] = set()
    for op in candidates:
        if busy.blocks(op):
            blocked.add((op.root, op.path))
        elif op.action is ops.Action.DELETE and (op.root, op.path) not in approved:
            deletions.append(op)
        else:
            flow.append(op)
    count = len(deletions) + recent
    held: list[ops.Op] = []
    if deletions and count >= HOLD_FLOOR and count > managed_files() * HOLD_SHARE:
        held = deletions
    else:
        flow += deletions
    return _hold_swaps(flow, held, holding, frozenset(blocked))


def _hold_swaps(flow: Sequence[ops.Op], held: Sequence[ops.Op], holding: Busy, blocked: frozenset[_Key]) -> Plan:
    """Hold what cannot be done before the held deletions are: a folder that still has files in it cannot become one."""
    if not held and not holding:
        return Plan(tuple(flow), (), blocked)
    fresh = Busy()
    for op in held:
        fresh.add(op)
    stuck = [op for op in flow if not is_folder_put(op) and (holding.has_below(op) or fresh.has_below(op))]
    if not stuck:
        return Plan(tuple(flow), tuple(held), blocked)
    keys = {(op.root, op.path) for op in stuck}
    return Plan(tuple(op for op in flow if (op.root, op.path) not in keys), (*held, *stuck), blocked)


def split(flow: Sequence[ops.Op], *, whole: bool) -> list[tuple[ops.Op, ...]]:
    """Return the batches that these ops make.

    Args:
        flow: Ops that can go now.
        whole: They belong together: a git operation or a first sync is one batch and one reload.
    """
    if not flow:
        return []
    bulk = [] if whole else [op for op in flow if op.body_bytes >= BULK_FILE_BYTES]
    if bulk:
        # A file that takes the place of a folder must not arrive before that has been cleared.
        above = {(op.root, folder) for op in flow for folder in paths.ancestors(op.path)}
        bulk = [op for op in bulk if (op.root, op.path) not in above]
    alone = {(op.root, op.path) for op in bulk}
    rest = [op for op in flow if (op.root, op.path) not in alone]
    return [tuple(batch) for batch in (rest, bulk) if batch]


def reconcile(
    root: int,
    wanted: Mapping[str, Entry],
    extra: Mapping[str, Entry],
    *,
    listed: Collection[str],
    delete_extra: bool,
) -> list[ops.Op]:
    """Return what is to be done about paths that are in the target although devloop did not ship them.

    An entry that is what the laptop has is taken as managed; one that differs is put over by the ordinary plan; of
    the others only those go that git lists (they are the laptop's, deleted there) or that the user gave up.

    Args:
        root: The sync's number.
        wanted: The laptop's tree.
        extra: Entries in the target that are not managed and not protected.
        listed: Paths that git's HEAD or index lists.
        delete_extra: The sync says `extra: delete`.
    """
    found: list[ops.Op] = []
    for path, entry in extra.items():
        mine = wanted.get(path)
        if mine == entry:
            found.append(ops.adopt(root, path, entry))
        elif mine is None and (delete_extra or path in listed):
            found.append(ops.delete(root, path))
    return found
