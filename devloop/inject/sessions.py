"""DevSessions from the laptop's side: is the rung there, claim a workload, go on claiming it, give it back.

A session is one object for each workload, so the API server itself lets two developers have it only in turn. Whoever
stops renewing it loses it to the sweeper.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.kube import access, client, eviction, paths, pods
from devloop.podspec import devsession

WEBHOOK_CODE: Final = "DL0821"

# A third of the sweeper's least patience that makes sense; it waits for minutes by default.
RENEW_S: Final = 10.0

# How long evicted pods may take to go, and how often that is looked at.
GONE_S: Final = 60.0
GONE_POLL_S: Final = 0.5

# How the API server words what a webhook refused (k8s.io/apiserver, admission/plugin/webhook/errors).
_DENIED: Final = re.compile(r'admission webhook "[^"]*" denied the request: (?:devloop: )?(?P<why>.*)', re.DOTALL)
# What the API server answers to a JSON patch whose test does not hold: 422.
_TEST_FAILED: Final = 422
_BROKEN: Final = "failed calling webhook"


class Rung(msgspec.Struct, frozen=True):
    """Whether sessions can be had in a namespace.

    Attributes:
        usable: They can, as far as can be seen.
        reason: Why, or why not.
        hint: What to do about it.
    """

    usable: bool
    reason: str
    hint: str = ""


async def rung(api: client.Client, namespace: str) -> Rung:
    """Find out whether sessions can be had, without changing anything.

    Args:
        api: The cluster.
        namespace: Where.

    Raises:
        UnreachableError: The API server does not answer.
    """
    if not await exist(api):
        return Rung(
            False, "the cluster has no DevSessions", "Ops install config/helm/devloop once, see docs/install-ops.md"
        )
    for asked in _rights(namespace):
        if not (await access.can(api, asked)).allowed:
            return Rung(
                False,
                f"you may not {asked.verb} {asked.kind()} in namespace {namespace}",
                f"see it with `{asked.can_i()}`; the chart has a ClusterRole for developers",
            )
    try:
        labels = (await api.get(paths.of("v1", "namespaces", name=namespace)))["metadata"].get("labels") or {}
    except errors.ForbiddenError:
        return Rung(True, "the cluster has DevSessions; whether the namespace is open for them cannot be seen")
    if labels.get(devsession.OPT_IN) != devsession.ENABLED:
        label = f"{devsession.OPT_IN}={devsession.ENABLED}"
        return Rung(
            False,
            f"the namespace {namespace} is not open for sessions",
            f"Ops open it: kubectl label namespace {namespace} {label}",
        )
    return Rung(True, "the cluster has DevSessions, and the namespace is open for them")


async def exist(api: client.Client) -> bool:
    """Say whether the cluster has DevSessions at all; everybody may ask that, where listing them needs a right.

    Raises:
        ClusterError: The API server does not answer.
    """
    try:
        found = await api.get(f"/apis/{devsession.API}")
    except errors.NotThereError:
        return False
    return any(each.get("name") == devsession.PLURAL for each in found.get("resources") or [])


def _rights(namespace: str) -> tuple[paths.Asked, ...]:
    return (
        paths.Asked("create", devsession.PLURAL, devsession.GROUP, namespace),
        paths.Asked("patch", devsession.PLURAL, devsession.GROUP, namespace, subresource="status"),
        paths.Asked("create", "pods", namespace=namespace, subresource="eviction"),
    )


async def begin(
    api: client.Client, namespace: str, spec: devsession.Spec, *, takeover: bool = False
) -> devsession.Session:
    """Claim a workload, or take up an own earlier claim with what is asked for now.

    Args:
        api: The cluster.
        namespace: Where.
        spec: What is asked for.
        takeover: End another owner's session.

    Raises:
        OwnedError: Somebody else has it.
        RefusedError: The webhook refuses it, with its reason.
        ClusterError: It cannot be made: no rights, no webhook.
    """
    name = devsession.name_of(spec.workload)
    made = devsession.made(name, namespace, spec)
    try:
        return await _create(api, namespace, made)
    except errors.ConflictError:
        held = await api.get(_path(namespace, name))
    before = devsession.read(held)
    if before.spec.owner == spec.owner:
        return await _take_up(api, held, before, spec)
    if not takeover:
        raise errors.OwnedError(
            f"{spec.workload.kind.lower()}/{spec.workload.name} is {before.spec.owner or 'somebody'}'s now"
            f" (DevSession {name}, made by {before.spec.author.name or 'nobody that the webhook knows'})",
            hint="ask them to run `devloop down`, or take it over with `devloop watch --takeover`",
            owner=before.spec.owner,
        )
    await end(api, before)
    return await _create(api, namespace, made)


async def _take_up(
    api: client.Client, held: dict[str, Any], before: devsession.Session, spec: devsession.Spec
) -> devsession.Session:
    wanted = msgspec.structs.replace(spec, author=before.spec.author)
    if wanted == before.spec:
        return before
    changed = {**held, "spec": msgspec.to_builtins(wanted)}
    return await _sent(lambda: api.replace(_path(before.namespace, before.name), changed))


async def _create(api: client.Client, namespace: str, made: dict[str, Any]) -> devsession.Session:
    session = await _sent(lambda: api.create(paths.of(devsession.API, devsession.PLURAL, namespace), made))
    if not session.spec.author.name:
        await end(api, session)
        raise errors.ClusterError(
            "the cluster has DevSessions, and no webhook that looks at them",
            hint="whoever runs the cluster: is the MutatingWebhookConfiguration of config/helm/devloop there?",
            code=WEBHOOK_CODE,
        )
    return session


async def _sent(call: Callable[[], Any]) -> devsession.Session:
    """Send a session, and tell what the webhook says about it in its own words."""
    try:
        return devsession.read(await call())
    except errors.ConflictError:
        raise
    except errors.RefusedError as error:
        denied = _DENIED.search(error.message)
        if denied is None:
            raise
        raise errors.RefusedError(
            f"the session is refused: {denied['why']}", status=error.status, code=devsession.CODE
        ) from None
    except errors.UnreachableError as error:
        if _BROKEN not in error.message:
            raise
        raise errors.ClusterError(
            "devloop's webhook in the cluster does not answer, so no session can be made",
            hint="whoever runs the cluster: kubectl get pods -A -l app.kubernetes.io/name=devloop-admission",
            code=WEBHOOK_CODE,
            status=error.status,
        ) from None
    except ValueError as error:
        raise errors.ClusterError(f"the cluster's DevSession is another one than this devloop's: {error}") from None


async def renew(api: client.Client, session: devsession.Session, now: datetime.datetime) -> None:
    """Tell the sweeper that the session lives.

    Args:
        api: The cluster.
        session: The session.
        now: The time; only that it changes counts.

    Raises:
        OwnedError: It was ended: by the sweeper, by `devloop down`, or by somebody who took it over.
        ClusterError: The cluster does not take it.
    """
    stamp = now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    # A session of the same name may be another one by now; a merge patch would not see that.
    body = [
        {"op": "test", "path": "/metadata/uid", "value": session.uid},
        {"op": "add", "path": "/status", "value": {"renewTime": stamp}},
    ]
    path = paths.of(devsession.API, devsession.PLURAL, session.namespace, session.name, "status")
    try:
        await api.patch(path, body, client.Patch.JSON)
    except errors.NotThereError:
        raise _ended(session) from None
    except errors.RefusedError as error:
        if error.status != _TEST_FAILED:
            raise
        raise _ended(session) from None


def _ended(session: devsession.Session) -> errors.OwnedError:
    return errors.OwnedError(
        f"the session {session.name} was ended by somebody else", hint="`devloop watch` makes a new one"
    )


async def end(api: client.Client, session: devsession.Session) -> bool:
    """End a session, this very one, and say whether it was there. Its pods are another step, or the sweeper's.

    Raises:
        ClusterError: The cluster does not allow it.
    """
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": session.uid}}
    try:
        await api.delete(_path(session.namespace, session.name), options)
    except (errors.NotThereError, errors.ConflictError):
        return False
    return True


class Ended(msgspec.Struct, frozen=True):
    """What became of sessions that were to end.

    Attributes:
        sessions: Their names.
        evictions: Their pods.
        others: Sessions that stay, each as `NAME of OWNER`.
    """

    sessions: tuple[str, ...] = ()
    evictions: tuple[eviction.Evicted, ...] = ()
    others: tuple[str, ...] = ()


async def end_sessions(
    api: client.Client,
    namespace: str,
    owner: str,
    workloads: Sequence[devsession.Workload] = (),
    *,
    everyone: bool = False,
) -> Ended:
    """End sessions and evict their pods, so that these come again as git says. Needs nothing but the cluster.

    Args:
        api: The cluster.
        namespace: Where.
        owner: Whose sessions, as `user@host`.
        workloads: Only those of these; all where there are none.
        everyone: Those of other owners too.

    Raises:
        ClusterError: They cannot be listed, or there is no right to end them.
    """
    if not await exist(api):
        return Ended()
    listing = await api.list(paths.of(devsession.API, devsession.PLURAL, namespace))
    names = {devsession.name_of(each) for each in workloads}
    there = [devsession.read(raw) for raw in listing.items]
    meant = [each for each in there if not names or each.name in names]
    mine = [each for each in meant if everyone or each.spec.owner == owner]
    for session in mine:
        await end(api, session)
    version = await api.version()
    evicted = [done for session in mine for done in await give_back(api, session, version)]
    others = tuple(f"{each.name} of {each.spec.owner}" for each in meant if each not in mine)
    return Ended(tuple(each.name for each in mine), tuple(evicted), others)


async def give_back(api: client.Client, session: devsession.Session, version: client.Version) -> list[eviction.Evicted]:
    """Evict the pods that a session injected; one try for each.

    Raises:
        ClusterError: There is no right to it.
    """
    listing = await api.list(
        paths.of("v1", "pods", session.namespace), {"labelSelector": f"{devsession.LABEL}={session.uid}"}
    )
    living = [pod for pod in map(pods.view, listing.items) if not pod.terminating]
    return [await eviction.evict(api, session.namespace, pod, version) for pod in living]


def _path(namespace: str, name: str) -> str:
    return paths.of(devsession.API, devsession.PLURAL, namespace, name)


async def until_gone(api: client.Client, namespace: str, names: Sequence[str], timeout_s: float = GONE_S) -> None:
    """Wait until evicted pods are gone, or long enough.

    Raises:
        ClusterError: Pods cannot be listed.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while names:
                listing = await api.list(paths.of("v1", "pods", namespace), {"labelSelector": devsession.LABEL})
                if not {pods.view(raw).name for raw in listing.items}.intersection(names):
                    return
                await asyncio.sleep(GONE_POLL_S)
