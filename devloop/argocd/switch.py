"""Taking Applications under a lease, all or none, and putting them back.

The lease is written first, then each Application is changed by one patch that tests what it replaces. Whatever ends
this in between, the lease tells the next devloop what to look at: a field that has the lease's value and mark is put
back, any other is left alone. What is waited for afterwards is `devloop.argocd.waiting`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from devloop import errors
from devloop.argocd import application, backend, lease, leasing, switching

_OWNED: Final = "DL1022"
_HALF: Final = "DL1023"
_TRIES: Final = 3

Making = Callable[[application.Application], lease.Entry]


class Asked(msgspec.Struct, frozen=True):
    """What is to be taken.

    Attributes:
        kind: What for.
        words: What for, for people: the branch.
        session: The id that the lease is labelled with.
        duration_s: It expires after so long; 0 for never.
    """

    kind: lease.Kind
    words: str
    session: str
    duration_s: int = 0


class Taken(msgspec.Struct, frozen=True):
    """What was taken.

    Attributes:
        lease: It; None where nothing was to be changed.
        changed: The Applications that were changed.
        before: How they were.
    """

    lease: lease.Lease | None
    changed: tuple[application.Reference, ...] = ()
    before: Mapping[application.Reference, application.Application] = {}


class Ended(msgspec.Struct, frozen=True):
    """What became of one Application when its lease ended.

    Attributes:
        reference: Which one.
        standing: How it stood: `OURS` was put back, everything else is as it was found.
        words: What is different, for people.
    """

    reference: application.Reference
    standing: switching.Standing
    words: str = ""


async def take(
    apps: backend.Backend,
    leases: leasing.Leases,
    targets: Sequence[application.Application],
    making: Making,
    asked: Asked,
) -> Taken:
    """Change Applications under a lease: all of them, or none.

    Args:
        apps: The way to them.
        leases: Where the lease is written.
        targets: The Applications, as they were looked at; at least one.
        making: Says what is changed in one.
        asked: What for.

    Raises:
        OwnedError: Somebody else's lease is on one of them.
        ConflictError: Somebody changed one meanwhile; nothing is changed.
        ClusterError: The lease cannot be written (nothing is changed), or a change was refused and taken back; with
            the code DL1023 it could not be taken back, and the lease stays.
    """
    me = await leases.me()
    held = await _held(leases, targets, asked.kind, me)
    fresh = {one.reference: making(one) for one in targets}
    known = {each.reference: each for each in held.record.entries} if held is not None else {}
    if not any(entry.fields for entry in fresh.values()):
        return Taken(None)
    seen = {one.reference: one for one in targets}
    entries = [
        _next(seen[which], entry, known.get(which), held)
        for which, entry in fresh.items()
        if entry.fields or which in known
    ]
    wanted = lease.Lease(
        name=held.name if held is not None else lease.name_of(asked.kind, targets[0].reference),
        namespace=leases.namespace,
        record=lease.Record(asked.kind, tuple(entries), asked.words),
        owner=me,
        session=asked.session,
        duration_s=asked.duration_s,
        acquired=held.acquired if held is not None else None,
        version=held.version if held is not None else "",
        uid=held.uid if held is not None else "",
    )
    written = await leases.write(wanted)
    before = {one.reference: one for one in targets}
    await _change(apps, leases, written, held, before)
    changed = tuple(which for which, entry in fresh.items() if entry.fields)
    return Taken(written, changed, before)


async def put_back(apps: backend.Backend, leases: leasing.Leases, one: lease.Lease) -> list[Ended]:
    """Put back what a lease has changed and is still as the lease made it, and end the lease.

    Args:
        apps: The way to the Applications.
        leases: Where the lease is.
        one: It, whosesoever.

    Returns:
        What became of each Application, in the order of the changes.

    Raises:
        ClusterError: Something could not be looked at or changed; the lease stays, and this may be called again.
    """
    # the other way round: a tree's root, which would undo its children, was changed last
    ended = [await _end(apps, entry, one) for entry in reversed(one.record.entries)]
    await leases.give_back(one)
    return list(reversed(ended))


# ---- taking ----------------------------------------------------------------------------------------------------------


def _next(
    one: application.Application, fresh: lease.Entry, known: lease.Entry | None, held: lease.Lease | None
) -> lease.Entry:
    """Return what the lease is to say of an Application from now on.

    What it says already counts only where the Application is as the lease made it. A change that was written down and
    never made, or that somebody has changed since, is none: what goes back in the end is what that person left.
    """
    if known is None or held is None:
        return fresh
    how, _ = switching.standing(one, known, held.record.kind.pointer, held.reference)
    if how is switching.Standing.OURS:
        return switching.merged(known, fresh)
    # nothing is to be changed in it, but it may still have the lease's mark
    return fresh if fresh.fields else known


async def _held(
    leases: leasing.Leases, targets: Sequence[application.Application], kind: lease.Kind, me: lease.Owner
) -> lease.Lease | None:
    """Return this person's lease on the targets, or None where they are free.

    Raises:
        OwnedError: One is somebody else's.
        ConflictError: They are under several leases of this person's.
    """
    names = {switching.holder(one, kind) for one in targets} - {""}
    # one that was written down by a devloop that died before its first change: nothing points at it
    names.add(f"{leases.namespace}/{lease.name_of(kind, targets[0].reference)}")
    found: dict[str, lease.Lease] = {}
    for name in sorted(names):
        try:
            one = await leases.find(name)
        except errors.ForbiddenError:
            raise _owned(name, None) from None
        if one is not None and not one.owner.is_same(me):
            raise _owned(name, one)
        if one is not None:
            found[name] = one
    if len(found) > 1:
        raise errors.ConflictError(
            f"these Applications are under {len(found)} leases of yours: {', '.join(sorted(found))}",
            hint="give them back first: `devloop env restore`",
            code=_OWNED,
        )
    return next(iter(found.values()), None)


async def _change(
    apps: backend.Backend,
    leases: leasing.Leases,
    written: lease.Lease,
    held: lease.Lease | None,
    before: Mapping[application.Reference, application.Application],
) -> None:
    """Change every Application; where one cannot be, take the others back and the lease with them."""
    pointer = written.record.kind.pointer
    done: list[tuple[lease.Entry, application.Application]] = []
    for entry in written.record.entries:
        if entry.reference not in before:
            continue
        one = before[entry.reference]
        try:
            after = await apps.patch(entry.reference, switching.forth(one, entry, pointer, written.reference))
        except errors.ClusterError as error:
            await _take_back(apps, leases, written, held, done, before, error)
            raise
        done.append((entry, after))


async def _take_back(
    apps: backend.Backend,
    leases: leasing.Leases,
    written: lease.Lease,
    held: lease.Lease | None,
    done: Sequence[tuple[lease.Entry, application.Application]],
    before: Mapping[application.Reference, application.Application],
    cause: errors.ClusterError,
) -> None:
    """Undo the changes that were made.

    Raises:
        ClusterError: Some could not be undone.
    """
    left: list[str] = []
    for entry, after in reversed(done):
        one = before[entry.reference]
        try:
            await apps.patch(entry.reference, switching.undo(after, one, entry, written.record.kind.pointer))
        except errors.ClusterError as error:
            left.append(f"{entry.reference} ({error.message})")
    if left:
        raise errors.ClusterError(
            f"{cause.message}; and what was changed before could not be taken back in {', '.join(left)}",
            hint=f"`devloop env restore` puts it back by the lease {written.reference}",
            code=_HALF,
        ) from cause
    if held is None:
        await leases.give_back(written)
    else:
        await leases.write(msgspec.structs.replace(held, version=written.version))


def _owned(name: str, one: lease.Lease | None) -> errors.OwnedError:
    who = str(one.owner) if one is not None else "somebody else"
    what = f" for {one.record.asked}" if one is not None and one.record.asked else ""
    return errors.OwnedError(
        f"{who} has a lease{what}: {name}",
        hint="ask them to run `devloop env restore`; `devloop env status` shows until when it lasts",
        owner=who,
    )


# ---- putting back ----------------------------------------------------------------------------------------------------


async def _end(apps: backend.Backend, entry: lease.Entry, one: lease.Lease) -> Ended:
    """Put one Application back, if it is still as the lease made it."""
    pointer, held = one.record.kind.pointer, one.reference
    for last in (*[False] * (_TRIES - 1), True):
        try:
            now: application.Application | None = await apps.get(entry.reference)
        except errors.NotThereError:
            now = None
        how, words = switching.standing(now, entry, pointer, held)
        if now is None or how is switching.Standing.GONE:
            return Ended(entry.reference, how, words)
        marked = now.annotations.get(pointer) == held
        changes = _changes(now, entry, how, pointer, held)
        if how is not switching.Standing.OURS and not marked:
            return Ended(entry.reference, how, words)
        try:
            await apps.patch(entry.reference, changes)
        except errors.ConflictError:
            # Somebody was faster; what it is now decides.
            if last:
                raise
        else:
            return Ended(entry.reference, how, words)
    raise AssertionError("the last try returns or raises")


def _changes(
    now: application.Application, entry: lease.Entry, how: switching.Standing, pointer: str, held: str
) -> list[backend.Change]:
    """Return what is changed: the values where they are ours, else nothing but our own mark."""
    if how is switching.Standing.OURS:
        return switching.back(now, entry, pointer, held)
    return switching.let_go(entry, pointer, held)
