"""Where each sync lives: in a volume of its own, or in the volume that the app has there already.

A volume of its own holds `data` (what the app sees), `stage` and `state` side by side. A volume that is mounted at
or above `to` is used as it is, never shadowed; the agent mounts exactly what the app mounts of it, and keeps stage
and state in a hidden folder inside the synced one, which is the one place that is surely on the same mount and
surely writable for the app's user. What is mounted beneath `to` stays, and is protected from the sync.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from devloop.podspec import names, outcome, request

CODE: Final = "DL0806"

# Kinds of volumes that nobody can write to, whatever their mount says (k8s.io/api/core/v1, VolumeSource).
_READ_ONLY_KINDS: Final = ("configMap", "secret", "downwardAPI", "projected", "image")
# What a mount would take away from every program in the container. devloop.yaml says it as well; a DevSession may not.
_SYSTEM: Final = re.compile(
    r"/|/etc|/usr|/usr/local|/var|/var/(lib|run)|/run|(/usr(/local)?)?/(s?bin|lib(32|64|x32)?)(/.*)?|/(boot|proc|sys|dev)(/.*)?"
)


class Mounted(msgspec.Struct, frozen=True):
    """A mount of the app's container.

    Attributes:
        path: Where, normalised.
        mount: The mount itself.
        index: Its place in the container's list.
    """

    path: str
    mount: outcome.Tree
    index: int


class Place(msgspec.Struct, frozen=True):
    """Where one sync lives.

    Attributes:
        index: Counts the service's syncs.
        sync: The sync.
        root: Its folders, as the agent sees them.
        mount: The agent's mount of the volume.
        fresh: The volume is devloop's own.
        protected: Mounts beneath `to`, absolute, sorted.
    """

    index: int
    sync: request.Sync
    root: outcome.Root
    mount: outcome.Tree
    fresh: bool
    protected: tuple[str, ...]

    def folders(self) -> tuple[str, ...]:
        """Return the folders that hold the mounts beneath, as the agent sees them.

        They are made before the app starts: the container runtime would make them too, and they would be root's.
        """
        above = {posixpath.dirname(path) for path in self.protected}
        if self.fresh or self.root.data == self.mount["mountPath"]:
            above -= {self.sync.to}
        return tuple(sorted(self.root.data + path[len(self.sync.to) :] for path in above))


def mounts(container: outcome.Tree) -> list[Mounted]:
    """Return what is mounted in a container."""
    listed = enumerate(container.get("volumeMounts") or [])
    return [Mounted(posixpath.normpath("/" + mount["mountPath"].strip("/")), mount, index) for index, mount in listed]


def check_folders(service: request.Service) -> Iterator[outcome.Refusal]:
    """Yield which folders of a service can never be mounted over."""
    listed = [(sync.to, "synced to") for sync in service.syncs]
    for path, what in [*listed, *((path, "persisted") for path in service.persist)]:
        normal = path.startswith("/") and posixpath.normpath(path) == path and ".." not in path.split("/")
        if not normal or _SYSTEM.fullmatch(path) or _overlap(path, names.HOME) or _overlap(path, names.TOKEN_AT):
            yield outcome.Refusal(CODE, f"{path} cannot be {what}", "name the app's own folder, such as /app")
    for index, sync in enumerate(service.syncs):
        for other in service.syncs[:index]:
            if _overlap(sync.to, other.to):
                yield outcome.Refusal(CODE, f"the syncs to {other.to} and {sync.to} overlap", "make them one")
    for index, path in enumerate(service.persist):
        for before in service.persist[:index]:
            if _overlap(path, before):
                yield outcome.Refusal(CODE, f"{before} and {path} of persist overlap", "keep the outer one")


def find(
    pod: outcome.Tree, at: int, service: request.Service, platform: request.Platform
) -> tuple[list[Place], list[outcome.Refusal]]:
    """Return where the syncs of a service live, and why some can live nowhere.

    Args:
        pod: A checked pod template.
        at: The index of the app's container.
        service: The service.
        platform: Knows volumes that the template does not.
    """
    mounted = mounts(pod["spec"]["containers"][at])
    found: list[Place] = []
    refused: list[outcome.Refusal] = []
    for index, sync in enumerate(service.syncs):
        beneath = {each.path for each in mounted} | set(service.persist)
        protected = tuple(sorted(path for path in beneath if path.startswith(sync.to + "/")))
        over = _covering(sync.to, mounted)
        if over is None:
            found.append(_fresh(index, sync, protected))
            continue
        where: outcome.Loc = ("spec", "containers", at, "volumeMounts", over.index)
        refusal = _cannot_be_used(pod, sync.to, over, where, platform)
        if refusal:
            refused.append(refusal)
        else:
            found.append(_existing(index, sync, protected, over))
    return found, refused


def _fresh(index: int, sync: request.Sync, protected: tuple[str, ...]) -> Place:
    at = names.sync_at(index)
    root = outcome.Root(
        sync.to, f"{at}/{names.DATA}", f"{at}/{names.STAGE}", f"{at}/{names.STATE}", _kept(sync, protected)
    )
    return Place(index, sync, root, {"name": names.sync_volume(index), "mountPath": at}, True, protected)


def _existing(index: int, sync: request.Sync, protected: tuple[str, ...], over: Mounted) -> Place:
    at = names.sync_at(index)
    data = at + sync.to[len(over.path) :]
    hidden = f"{data}/{names.HIDDEN}"
    mount = {"name": over.mount["name"], "mountPath": at}
    if over.mount.get("subPath"):
        mount["subPath"] = over.mount["subPath"]
    root = outcome.Root(sync.to, data, f"{hidden}/{names.STAGE}", f"{hidden}/{names.STATE}", _kept(sync, protected))
    return Place(index, sync, root, mount, False, protected)


def _kept(sync: request.Sync, protected: tuple[str, ...]) -> tuple[str, ...]:
    """Return the mounts beneath a synced folder, relative to it."""
    return tuple(path[len(sync.to) + 1 :] for path in protected)


def _covering(to: str, mounted: Sequence[Mounted]) -> Mounted | None:
    """Return the mount that holds `to`: the deepest at or above it."""
    above = [each for each in mounted if to == each.path or to.startswith(each.path + "/")]
    return max(above, key=lambda each: len(each.path), default=None)


def _cannot_be_used(
    pod: outcome.Tree, to: str, over: Mounted, where: outcome.Loc, platform: request.Platform
) -> outcome.Refusal | None:
    name = over.mount["name"]
    held = f"{to} is in the volume {name}, which is mounted at {over.path}"
    if over.mount.get("readOnly"):
        return outcome.Refusal(CODE, f"{held} read-only", "mount it writable, or sync to another folder", where)
    if over.mount.get("subPathExpr"):
        return outcome.Refusal(
            CODE,
            f"{held} by subPathExpr, which the agent cannot work out",
            "use subPath in the personal environment",
            where,
        )
    volume = _volume(pod["spec"].get("volumes") or [], name)
    if volume is None:
        if name in platform.claim_templates:
            return None
        return outcome.Refusal(CODE, f"{held}, but the pod has no such volume", "add it to `volumes`", where)
    kind = next((kind for kind in _READ_ONLY_KINDS if kind in volume), "")
    if kind or any(isinstance(source, dict) and source.get("readOnly") for source in volume.values()):
        what = f"a {kind}" if kind else "read-only"
        return outcome.Refusal(CODE, f"{held} and is {what}", "sync to a folder beside it", where)
    return None


def _volume(volumes: Iterable[outcome.Tree], name: str) -> outcome.Tree | None:
    return next((volume for volume in volumes if volume["name"] == name), None)


def _overlap(one: str, two: str) -> bool:
    return one == two or one.startswith(two + "/") or two.startswith(one.rstrip("/") + "/")
