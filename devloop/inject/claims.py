"""The PersistentVolumeClaim of a service's `persist:`: made before pods need it, told why it gets no volume, deleted.

One for each service, of the cluster's default StorageClass. It outlives watches and pods: only `devloop down` of its
owner deletes it. A claim of its name that devloop did not make is used and never deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.inject import lease, marks
from devloop.kube import client, paths
from devloop.podspec import request, undo

CODE: Final = "DL0787"

# A volume that is there already is bound within moments; without a class nobody will make one later.
BIND_S: Final = 10.0
# A claim goes when the last pod that uses it is gone (the finalizer kubernetes.io/pvc-protection).
GONE_S: Final = 60.0
_POLL_S: Final = 0.5

_NO_VOLUME_HINT: Final = (
    "whoever runs the cluster marks a StorageClass as the default one, or makes a PersistentVolume for it; or make the "
    "claim yourself with a storageClassName of your choice, or take `persist:` out of devloop.yaml"
)


class Wanted(msgspec.Struct, frozen=True):
    """A claim that is needed.

    Attributes:
        service: Whose; `service.claim` is its name.
        workload: As `deployment/web`.
        owner: Who may delete it, as `user@host`.
        session: What everything of the session is labelled with.
    """

    service: request.Service
    workload: str
    owner: str
    session: str

    def manifest(self) -> dict[str, Any]:
        """Return the object to create; its class is the cluster's default, because none is named."""
        return {
            "apiVersion": marks.CLAIMS.version,
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": self.service.claim,
                "labels": {marks.LABEL: self.session, marks.CLAIM_LABEL: self.service.name},
                "annotations": {undo.WORKLOAD: self.workload, undo.OWNER: self.owner},
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": self.service.persist_size}},
            },
        }


class Claim(msgspec.Struct, frozen=True):
    """A claim that devloop made.

    Attributes:
        name: Its name.
        uid: Its identity.
        session: The session that it was made for.
        workload: Whose pods use it; empty where that is not written on it.
        owner: `user@host`; empty likewise.
    """

    name: str
    uid: str
    session: str
    workload: str
    owner: str


async def ensure(api: client.Client, namespace: str, wanted: Wanted, *, bind_s: float = BIND_S) -> Claim | None:
    """Make a service's claim where there is none of its name, and wait for its volume where no class will make one.

    With a StorageClass the volume may come only with the first pod, so that is not waited for.

    Args:
        api: The cluster.
        namespace: Where.
        wanted: The claim.
        bind_s: How long a claim without a class may take to get a volume.

    Returns:
        The claim where it was made now.

    Raises:
        RefusedError: A quota or a policy forbids it, it gets no volume, or the one of before is being deleted.
        ClusterError: There is no right to it, or no API server.
    """
    path = _path(namespace, wanted.service.claim)
    made: Claim | None = None
    raw: Mapping[str, Any]
    try:
        raw = await api.get(path)
    except errors.NotThereError:
        raw, made = await _made(api, namespace, wanted)
    if "deletionTimestamp" in raw["metadata"]:
        raise errors.RefusedError(
            f"the claim {wanted.service.claim} for `persist:` is being deleted, and pods still use it",
            hint=f"wait until they are gone: kubectl describe pvc {wanted.service.claim}",
            code=CODE,
        )
    try:
        await _bound(api, namespace, raw, bind_s)
    except errors.RefusedError:
        if made is not None:
            await delete(api, namespace, made)
        raise
    return made


async def _made(api: client.Client, namespace: str, wanted: Wanted) -> tuple[Mapping[str, Any], Claim | None]:
    try:
        raw = await api.create(_path(namespace), wanted.manifest(), {"fieldManager": marks.MANAGER})
    except errors.ConflictError:
        return await api.get(_path(namespace, wanted.service.claim)), None
    except errors.RefusedError as error:
        raise errors.RefusedError(
            f"the claim {wanted.service.claim} of {wanted.service.persist_size} for `persist:` cannot be made: "
            f"{error.words or error.message}",
            hint=error.hint or "`persist_size:` in devloop.yaml says how large it is to be",
            status=error.status,
            code=CODE,
        ) from None
    return raw, _view(raw)


async def _bound(api: client.Client, namespace: str, raw: Mapping[str, Any], bind_s: float) -> None:
    """Wait for a claim's volume, where no class will make one when a pod needs it."""
    name = str(raw["metadata"]["name"])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(bind_s):
            while not _is_served(raw):
                await asyncio.sleep(_POLL_S)
                raw = await api.get(_path(namespace, name))
            return
    why = await _why(api, namespace, name)
    phase = (raw.get("status") or {}).get("phase", "Pending")
    raise errors.RefusedError(
        f"the claim {name} for `persist:` gets no volume ({phase}): {why}", hint=_NO_VOLUME_HINT, code=CODE
    )


def _is_served(raw: Mapping[str, Any]) -> bool:
    spec, phase = raw.get("spec") or {}, (raw.get("status") or {}).get("phase", "Pending")
    return phase == "Bound" or (phase == "Pending" and bool(spec.get("storageClassName")))


async def _why(api: client.Client, namespace: str, name: str) -> str:
    """Return what the cluster says about a claim without a volume."""
    fields = f"involvedObject.kind=PersistentVolumeClaim,involvedObject.name={name}"
    with contextlib.suppress(errors.ClusterError):
        listed = await api.list(paths.of("v1", "events", namespace), {"fieldSelector": fields})
        said = [str(each.get("message") or "") for each in listed.items if each.get("type") != "Normal"]
        said = said or [str(each.get("message") or "") for each in listed.items]
        if said:
            return said[-1]
    return "it names no StorageClass, the cluster has no default one, and no volume fits"


async def every(api: client.Client, namespace: str) -> list[Claim]:
    """Return the claims of a namespace that devloop made.

    Raises:
        ClusterError: They cannot be listed.
    """
    listed = await api.list(_path(namespace), {"labelSelector": marks.LABEL})
    return [_view(raw) for raw in listed.items]


def to_delete(
    there: Sequence[Claim], wanted: Collection[str], me: lease.Owner, ended: Collection[str], *, everyone: bool
) -> tuple[list[Claim], list[Claim]]:
    """Return which claims go with the sessions that end, and which stay because they are others'.

    Args:
        there: All that devloop made.
        wanted: The workloads that are meant, as `deployment/web`.
        me: Who asks.
        ended: The ids of sessions that ended now: for claims on which nothing else is written.
        everyone: All of them, whoever has them.
    """
    going = [
        each
        for each in there
        if everyone
        or each.session in ended
        or (each.workload in wanted and bool(each.owner) and lease.Owner(each.owner).is_same(me))
    ]
    return going, [each for each in there if each not in going]


async def delete(api: client.Client, namespace: str, one: Claim) -> None:
    """Delete a claim, this very one; it goes when no pod uses it any more.

    Raises:
        ClusterError: There is no right to it.
    """
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": one.uid}}
    with contextlib.suppress(errors.NotThereError, errors.ConflictError):
        await api.delete(_path(namespace, one.name), options)


async def until_gone(
    api: client.Client, namespace: str, gone: Collection[Claim], timeout_s: float = GONE_S
) -> list[str]:
    """Wait until deleted claims are gone, or long enough, and return the names of those that are not.

    Raises:
        ClusterError: They cannot be listed.
    """
    left = [each.name for each in gone]
    uids = {each.uid for each in gone}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while left:
                left = [each.name for each in await every(api, namespace) if each.uid in uids]
                if left:
                    await asyncio.sleep(_POLL_S)
    return left


def _view(raw: Mapping[str, Any]) -> Claim:
    meta = raw.get("metadata") or {}
    told = meta.get("annotations") or {}
    return Claim(
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        session=str((meta.get("labels") or {}).get(marks.LABEL, "")),
        workload=str(told.get(undo.WORKLOAD, "")),
        owner=str(told.get(undo.OWNER, "")),
    )


def _path(namespace: str, name: str = "") -> str:
    return paths.of(marks.CLAIMS.version, marks.CLAIMS.plural, namespace, name)
