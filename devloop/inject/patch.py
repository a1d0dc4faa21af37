"""Rung 4: the agent in a workload's own pod template, under a lease.

For a cluster without the webhook and without Argo CD. The order is what makes it safe: the change is tried by a
server-side dry run, the lease is written with all that is needed to undo it, then the change is made. A process that is
killed in between leaves a lease, and whoever comes next can put the template back from it alone.

The change is one JSON patch: `test` that the template is exactly the one that was looked at, `replace` it by the new
one. docs/decisions/0009 tells why it is not a server-side apply.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.inject import claims, lease, leasing, ownership, putback, rollout, running, template
from devloop.kube import client, podtemplate, workloads
from devloop.podspec import inject, outcome, request, undo

TIMEOUT_S: Final = 180.0

_KINDS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet"})

Say = Callable[[str], None]


class Asked(msgspec.Struct, frozen=True):
    """What is to be patched, and how.

    Attributes:
        reference: The workload.
        service: The service, as its pod is concerned.
        agent_image: The agent's image.
        project: What the laptop calls the project's folder.
        until: When it is undone.
        takeover: Take the workload over from another owner.
        applications: The namespace of Argo CD's Applications, where the project says it.
        timeout_s: How long the new pods may take.
    """

    reference: workloads.Reference
    service: request.Service
    agent_image: str
    project: str
    until: lease.Until = lease.Until.DOWN
    takeover: bool = False
    applications: str = ""
    timeout_s: float = TIMEOUT_S


class Installed(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        lease: The lease; None where the workload's own manifests bring the agent, so that nothing was changed.
        changed: The template was changed now; False where it was so already.
        claim: The claim of `persist:` that was made now.
        notes: What was changed and why.
    """

    lease: lease.Lease | None
    changed: bool = False
    notes: tuple[str, ...] = ()
    claim: claims.Claim | None = None


async def install(api: client.Client, namespace: str, asked: Asked, me: lease.Owner, say: Say) -> Installed:
    """Put the agent into a workload, and wait until its pods have it; where that fails, put everything back.

    Args:
        api: The cluster.
        namespace: The workload's namespace.
        asked: What is to be done.
        me: Who does it.
        say: Takes a line whenever something moves.

    Raises:
        OwnedError: Another owner has the workload.
        RefusedError: Argo CD keeps it, the pod cannot take an agent, or its pods do not come up.
        UsageError: It is not of a kind that can be patched.
        ClusterError: The cluster cannot be asked, or does not allow it.
    """
    if asked.reference.kind.name not in _KINDS:
        raise _no_kind(asked.reference)
    done = await _change(api, namespace, asked, me)
    if done.lease is None:
        return done
    record = done.lease.restore.record
    try:
        await rollout.wait(api, namespace, asked.reference, record, say, timeout_s=asked.timeout_s)
    except errors.RefusedError:
        if done.changed:
            await putback.restore(api, namespace, done.lease)
        await _unclaim(api, namespace, done.claim)
        raise
    return done


def _no_kind(reference: workloads.Reference) -> errors.UsageError:
    if reference.kind.name == "Rollout":
        return errors.UsageError(
            f"{reference} cannot be patched: its steps would hold the new pods up, and roll back what is not promoted",
            hint="put the agent into its manifests with `devloop inject`",
            code=template.CODE,
        )
    return errors.UsageError(
        f"{reference} cannot be patched: the containers of a pod are fixed",
        hint="attach to it with `devloop watch --attach`, or name the workload that owns it",
        code=template.CODE,
    )


def _check_owner(held: lease.Lease | None, asked: Asked, me: lease.Owner) -> None:
    if held is None or held.owner.is_same(me) or asked.takeover:
        return
    raise errors.OwnedError(
        f"{asked.reference} is patched by {held.owner} for their service {held.service}",
        hint="ask them to run `devloop down`, or take it over with --takeover",
        owner=held.owner.name,
    )


async def _change(api: client.Client, namespace: str, asked: Asked, me: lease.Owner) -> Installed:
    for _ in range(podtemplate.ROUNDS):
        held = await leasing.find(api, namespace, str(asked.reference))
        _check_owner(held, asked, me)
        raw = await api.find(asked.reference.path(namespace))
        await ownership.check(api, raw, asked.reference, namespace, asked.applications)
        done = await _change_once(api, namespace, asked, me, held, raw)
        if done is not None:
            return done
    raise errors.ConflictError(
        f"{asked.reference} is changed by something else again and again",
        hint="find out what: `kubectl get -o yaml --show-managed-fields` names the managers",
        code=template.CHANGED_CODE,
    )


async def _change_once(
    api: client.Client,
    namespace: str,
    asked: Asked,
    me: lease.Owner,
    held: lease.Lease | None,
    raw: Mapping[str, Any],
) -> Installed | None:
    """Make the change; None where somebody else changed the template or took the lease at this very moment."""
    before = podtemplate.of(raw, asked.reference)
    if held is None and inject.is_injected(before):
        return Installed(None)
    original = template.without(before, held.restore.record if held else "")
    made = await _made(api, namespace, asked, raw, original)
    after = await podtemplate.replace(api, namespace, asked.reference, before, made.pod, dry=True)
    if after is None:
        return None
    told = undo.Restore(template.record_of(made.pod), undo.digest(original), undo.digest(after))
    mine = _lease(asked, me, held, told)
    claim: claims.Claim | None = None
    if made.claim:
        wanted = claims.Wanted(asked.service, mine.workload, me.name, mine.session)
        claim = await claims.ensure(api, namespace, wanted)
    try:
        done = await _under_lease(api, namespace, asked, mine, before, made)
    except errors.UnreachableError:
        # Nobody knows whether the change was made: what tells how to undo it stays, and what it needs.
        raise
    except errors.ClusterError:
        await _unclaim(api, namespace, claim)
        raise
    if done is None:
        await _unclaim(api, namespace, claim)
        return None
    return msgspec.structs.replace(done, claim=claim)


async def _under_lease(
    api: client.Client,
    namespace: str,
    asked: Asked,
    mine: lease.Lease,
    before: outcome.Tree,
    made: outcome.Outcome,
) -> Installed | None:
    """Write the lease, then replace the template; where that is refused, a lease that was made for it goes again."""
    try:
        written = await leasing.write(api, namespace, mine)
    except errors.ConflictError:
        return None
    try:
        changed = await podtemplate.replace(api, namespace, asked.reference, before, made.pod)
    except errors.UnreachableError:
        raise
    except errors.ClusterError:
        await _forget(api, namespace, mine, written)
        raise
    if changed is None:
        await _forget(api, namespace, mine, written)
        return None
    return Installed(written, undo.digest(before) != undo.digest(changed), made.notes)


async def _unclaim(api: client.Client, namespace: str, claim: claims.Claim | None) -> None:
    """Delete a claim that was made for a change that did not come about; what fails, `devloop down` does."""
    with contextlib.suppress(errors.ClusterError):
        if claim is not None:
            await claims.delete(api, namespace, claim)


async def _made(
    api: client.Client, namespace: str, asked: Asked, raw: Mapping[str, Any], original: outcome.Tree
) -> outcome.Outcome:
    version = await api.version()
    templates = [each.get("metadata") or {} for each in (raw.get("spec") or {}).get("volumeClaimTemplates") or []]
    platform = request.Platform(
        asked.agent_image,
        request.KubeVersion(version.major, version.minor),
        frozenset(str(each.get("name", "")) for each in templates),
    )
    service = asked.service
    made = inject.inject(original, service, platform)
    if any(refusal.code == _NO_USER for refusal in made.refusals):
        service = await _with_user(api, namespace, asked, original)
        made = inject.inject(original, service, platform)
    if made.refusals:
        first = made.refusals[0]
        message = "; ".join(refusal.message for refusal in made.refusals)
        raise errors.RefusedError(f"{asked.reference}: {message}", hint=first.hint, code=first.code)
    return made


_NO_USER: Final = "DL0803"


async def _with_user(api: client.Client, namespace: str, asked: Asked, original: Mapping[str, Any]) -> request.Service:
    """Return the service with the user that its running pods tell, where the template does not."""
    listed = [each["name"] for each in original["spec"]["containers"]]
    name = asked.service.container or (listed[0] if len(listed) == 1 else "")
    _, there = await rollout.look(api, namespace, asked.reference)
    for pod in there:
        found = await running.user_of(api, namespace, pod, name)
        if found is not None:
            return msgspec.structs.replace(asked.service, user=found.uid, group=found.gid)
    return asked.service


def _lease(asked: Asked, me: lease.Owner, held: lease.Lease | None, told: undo.Restore) -> lease.Lease:
    mine = lease.Lease(
        workload=str(asked.reference),
        service=asked.service.name,
        project=asked.project,
        owner=me,
        session=secrets.token_hex(8),
        until=asked.until,
        restore=told,
    )
    if held is None:
        return mine
    same = held.owner.is_same(me)
    return msgspec.structs.replace(
        mine,
        # The same person's sessions on one workload are one; another's is new, so that the old one notices.
        session=held.session if same else mine.session,
        # Whoever says `install` means it to stay, also when a watch patches the same workload later.
        until=held.until if same and held.until is lease.Until.DOWN else asked.until,
        epoch=held.epoch + (not same),
        version=held.version,
        uid=held.uid,
    )


async def _forget(api: client.Client, namespace: str, mine: lease.Lease, written: lease.Lease) -> None:
    """Give a lease back that was made for nothing, unless it was there before; what fails, the next start does."""
    with contextlib.suppress(errors.ClusterError):
        if not mine.uid:
            await leasing.give_back(api, namespace, written)
