"""The lease: what devloop writes down before it changes somebody else's object, and needs to undo the change.

Pure. A lease is a `coordination.k8s.io/v1` Lease in the workload's namespace, one for each workload, so that two
developers who want the same one meet there. It holds the record of the injection (`devloop.podspec.record`), which is
all that is needed to put the template back, and digests of the template before and after, by which everybody can tell
whether somebody else changed it in the meantime.
"""

from __future__ import annotations

import datetime
import enum
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.inject import marks
from devloop.kube import workloads
from devloop.podspec import undo

CODE: Final = "DL0784"

_PREFIX: Final = "devloop.dev/"
SERVICE: Final = f"{_PREFIX}service"
PROJECT: Final = f"{_PREFIX}project"
USER: Final = f"{_PREFIX}user"
UNTIL: Final = f"{_PREFIX}until"

# A watch renews its lease every minute; a laptop may sleep this long before the cluster takes it for gone.
DURATION_S: Final = 900

# metadata.name of a Lease: a DNS subdomain (RFC 1123) of at most 253 characters.
_MAX_NAME: Final = 253


class Until(enum.StrEnum):
    """When the change is undone."""

    DOWN = "down"
    """By `devloop down`: `devloop install --patch` made it."""
    WATCH = "watch"
    """With the end of the watch that made it."""


class Owner(msgspec.Struct, frozen=True):
    """Whose session it is.

    Attributes:
        name: `user@host`.
        user: Who that is for the cluster; empty where it does not say (before Kubernetes 1.27).
    """

    name: str
    user: str = ""

    def is_same(self, other: Owner) -> bool:
        """Say whether that is the same person: on the same laptop, or on another one as the same user of the cluster.

        The cluster's user alone is not enough: a team may share one.
        """
        if self.name == other.name:
            return True
        known = bool(self.user) and self.user == other.user
        return known and self.name.partition("@")[0] == other.name.partition("@")[0]

    def __str__(self) -> str:
        return f"{self.name} ({self.user})" if self.user and self.user != self.name else self.name


class Lease(msgspec.Struct, frozen=True):
    """One lease.

    Attributes:
        workload: `deployment/web`.
        service: The service's name.
        project: What the laptop calls the project's folder; see `devloop.state.dirs.project_id`.
        owner: Whose it is.
        session: The id that everything of this session is labelled with.
        until: When the change is undone.
        restore: How.
        epoch: How often it was taken over.
        renewed: When it was renewed last, as the cluster writes it; empty for now.
        version: The object's resourceVersion; empty before it is there.
        uid: The object's identity; likewise.
    """

    workload: str
    service: str
    project: str
    owner: Owner
    session: str
    until: Until
    restore: undo.Restore
    epoch: int = 0
    renewed: str = ""
    version: str = ""
    uid: str = ""

    @property
    def name(self) -> str:
        """The object's name."""
        return name_of(self.workload)

    def manifest(self, namespace: str) -> dict[str, Any]:
        """Return the object, as it is to be written."""
        metadata: dict[str, Any] = {
            "name": self.name,
            "namespace": namespace,
            "labels": {marks.LABEL: self.session},
            "annotations": {
                undo.WORKLOAD: self.workload,
                SERVICE: self.service,
                PROJECT: self.project,
                undo.OWNER: self.owner.name,
                USER: self.owner.user,
                UNTIL: self.until.value,
                undo.RESTORE: self.restore.text(),
            },
        }
        if self.version:
            metadata["resourceVersion"] = self.version
        spec: dict[str, Any] = {
            "holderIdentity": self.owner.name,
            "leaseTransitions": self.epoch,
            "renewTime": self.renewed or now(),
        }
        if self.until is Until.WATCH:
            spec["leaseDurationSeconds"] = DURATION_S
        return {"apiVersion": marks.LEASES.version, "kind": "Lease", "metadata": metadata, "spec": spec}


def name_of(workload: str) -> str:
    """Return the name of the lease on a workload."""
    name = "devloop-" + re.sub(r"[^a-z0-9.]+", "-", workload.lower())
    if len(name) <= _MAX_NAME:
        return name
    return f"{name[: _MAX_NAME - 17].rstrip('.-')}-{hashlib.sha256(workload.encode()).hexdigest()[:16]}"


def now() -> str:
    """Return the time as a Lease writes it: RFC 3339 with microseconds, UTC (metav1.MicroTime)."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read(raw: Mapping[str, Any]) -> Lease:
    """Return what a Lease of the cluster says.

    Args:
        raw: The object.

    Raises:
        ClusterError: It is not one that this devloop can undo.
    """
    metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
    told = metadata.get("annotations") or {}
    name = str(metadata.get("name", ""))
    try:
        workloads.parse(told[undo.WORKLOAD])
        return Lease(
            workload=told[undo.WORKLOAD],
            service=str(told.get(SERVICE, "")),
            project=str(told.get(PROJECT, "")),
            owner=Owner(str(told.get(undo.OWNER, "")) or str(spec.get("holderIdentity", "")), str(told.get(USER, ""))),
            session=str((metadata.get("labels") or {}).get(marks.LABEL, "")),
            until=Until(told.get(UNTIL, "")),
            restore=undo.read(told),
            epoch=int(spec.get("leaseTransitions") or 0),
            renewed=str(spec.get("renewTime") or ""),
            version=str(metadata.get("resourceVersion", "")),
            uid=str(metadata.get("uid", "")),
        )
    except (KeyError, ValueError, TypeError, errors.UsageError) as error:
        raise errors.ClusterError(
            f"the lease {name} cannot be understood: {error}",
            hint=f"use the devloop that made it; `kubectl get lease {name} -o yaml` shows it",
            code=CODE,
        ) from None
