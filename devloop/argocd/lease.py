"""The lease on Applications: what devloop writes down before it changes one, and needs to put it back.

Pure. A lease is one `coordination.k8s.io/v1` Lease in the developer's namespace, for all that one command changes: a
branch for one Application or for a tree of them, or a pause of auto-sync. It holds each field's old and new value. Each
Application has an annotation that points back at the lease, so that two developers who want the same one meet there,
and so that everybody who finds a strange branch finds out whose it is.

Times are the API server's, taken from its answers (`Client.skew_s`), never the laptop's clock.
"""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.argocd import application

CODE: Final = "DL1020"
VERSION: Final = 1

LABEL: Final = "devloop.dev/session"
"""On every object that devloop makes; see the twelfth rule of the design."""

KIND_LABEL: Final = "devloop.dev/env-lease"
"""Tells these Leases from those on workloads; its value is the kind."""

RECORD: Final = "devloop.dev/env-record"
OWNER: Final = "devloop.dev/owner"
USER: Final = "devloop.dev/user"
INSTALL: Final = "devloop.dev/install"

# metadata.name of a Lease: a DNS subdomain (RFC 1123) of at most 253 characters.
_MAX_NAME: Final = 200


class Kind(enum.StrEnum):
    """What a lease is for."""

    BRANCH = "branch"
    """The Applications follow another branch."""
    PAUSE = "pause"
    """Their auto-sync is off."""

    @property
    def pointer(self) -> str:
        """The annotation on an Application that points at a lease of this kind."""
        return f"devloop.dev/{self.value}-lease"


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """One changed field.

    Attributes:
        path: JSON pointer (RFC 6901).
        old: Its value before; None where it was not there.
        new: Its value since; None where it was removed.
        repo: For a source in a list: its `repoURL` after the change, by which its place in the list is sure.
        earlier: Values that this very lease had given it before `new`: a change that was written down and never made
            leaves the last of them.
    """

    path: str
    old: Any
    new: Any
    repo: str = ""
    earlier: tuple[Any, ...] = ()

    def is_ours(self, value: Any) -> bool:
        """Say whether this lease gave the field that value."""
        return value == self.new or value in self.earlier


class Entry(msgspec.Struct, frozen=True):
    """One Application.

    Attributes:
        namespace: Where it is.
        name: Its name.
        uid: The object's identity: one that was deleted and made anew is another.
        fields: What is changed in it.
    """

    namespace: str
    name: str
    uid: str
    fields: tuple[Field, ...]

    @property
    def reference(self) -> application.Reference:
        """Which Application it is."""
        return application.Reference(self.namespace, self.name)


class Record(msgspec.Struct, frozen=True):
    """What the annotation holds.

    Attributes:
        kind: What the lease is for.
        entries: What is changed, in the order of the changes.
        asked: What was asked for, for people: the branch.
        version: Of this form.
    """

    kind: Kind
    entries: tuple[Entry, ...]
    asked: str = ""
    version: int = VERSION


class Owner(msgspec.Struct, frozen=True):
    """Whose lease it is.

    Attributes:
        name: `user@host`.
        user: Who that is for the cluster; empty where it does not say (before Kubernetes 1.27).
        install: This laptop's devloop: a team may share an account, and hosts may share a name.
    """

    name: str
    user: str = ""
    install: str = ""

    def is_same(self, other: Owner) -> bool:
        """Say whether that is the same person: on this laptop, or by the same name as the same user of the cluster."""
        if self.install and self.install == other.install:
            return True
        known = bool(self.user) and self.user == other.user
        return known and self.name.partition("@")[0] == other.name.partition("@")[0]

    def __str__(self) -> str:
        return f"{self.name} ({self.user})" if self.user and self.user != self.name else self.name


class Lease(msgspec.Struct, frozen=True):
    """One lease.

    Attributes:
        name: The object's name.
        namespace: Its namespace.
        record: What is changed.
        owner: Whose it is.
        session: What everything of it is labelled with.
        acquired: When it was taken, by the cluster's clock; None before it is there.
        renewed: When it was renewed last, likewise.
        duration_s: It has expired so long after it was renewed; 0 for never.
        version: The object's resourceVersion; empty before it is there.
        uid: The object's identity; likewise.
    """

    name: str
    namespace: str
    record: Record
    owner: Owner
    session: str
    acquired: datetime.datetime | None = None
    renewed: datetime.datetime | None = None
    duration_s: int = 0
    version: str = ""
    uid: str = ""

    @property
    def reference(self) -> str:
        """How an Application points at it."""
        return f"{self.namespace}/{self.name}"

    @property
    def ends(self) -> datetime.datetime | None:
        """When it expires by the cluster's clock; None for never."""
        since = self.renewed or self.acquired
        return since + datetime.timedelta(seconds=self.duration_s) if since is not None and self.duration_s else None

    def has_expired(self, now: datetime.datetime) -> bool:
        """Say whether it has expired.

        Args:
            now: The cluster's time.
        """
        return self.ends is not None and now >= self.ends

    def manifest(self, now: datetime.datetime) -> dict[str, Any]:
        """Return the object, as it is to be written.

        Args:
            now: The cluster's time.
        """
        metadata: dict[str, Any] = {
            "name": self.name,
            "namespace": self.namespace,
            "labels": {LABEL: self.session, KIND_LABEL: self.record.kind.value},
            "annotations": {
                RECORD: msgspec.json.encode(self.record).decode(),
                OWNER: self.owner.name,
                USER: self.owner.user,
                INSTALL: self.owner.install,
            },
        }
        if self.version:
            metadata["resourceVersion"] = self.version
        spec: dict[str, Any] = {
            "holderIdentity": self.owner.name,
            "acquireTime": written(self.acquired or now),
            "renewTime": written(self.renewed or now),
        }
        if self.duration_s:
            spec["leaseDurationSeconds"] = self.duration_s
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def name_of(kind: Kind, first: application.Reference) -> str:
    """Return the name of a lease: by it, one namespace has at most one of a kind for an Application."""
    bare = re.sub(r"[^a-z0-9.-]+", "-", f"{first.namespace}.{first.name}".lower())[:_MAX_NAME].strip("-.")
    return f"devloop-{kind.value}-{bare}"


def written(time: datetime.datetime) -> str:
    """Return a time as a Lease has it (metav1.MicroTime)."""
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read(raw: Mapping[str, Any]) -> Lease:
    """Return what a Lease of the cluster says.

    Args:
        raw: The object.

    Raises:
        ClusterError: It is not one that this devloop can put back.
    """
    metadata, spec = application.mapping(raw, "metadata"), application.mapping(raw, "spec")
    told, labels = application.mapping(metadata, "annotations"), application.mapping(metadata, "labels")
    name, namespace = application.text(metadata, "name"), application.text(metadata, "namespace")
    try:
        record = msgspec.json.decode(str(told.get(RECORD, "")), type=Record)
        _check(record)
        duration = spec.get("leaseDurationSeconds")
        return Lease(
            name=name,
            namespace=namespace,
            record=record,
            owner=Owner(
                str(told.get(OWNER, "")) or application.text(spec, "holderIdentity"),
                str(told.get(USER, "")),
                str(told.get(INSTALL, "")),
            ),
            session=str(labels.get(LABEL, "")),
            acquired=_time(spec, "acquireTime"),
            renewed=_time(spec, "renewTime"),
            duration_s=duration if isinstance(duration, int) and duration > 0 else 0,
            version=application.text(metadata, "resourceVersion"),
            uid=application.text(metadata, "uid"),
        )
    except (ValueError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.ClusterError(
            f"the lease {namespace}/{name} cannot be understood: {error}",
            hint=f"use the devloop that made it; `kubectl -n {namespace} get lease {name} -o yaml` shows it",
            code=CODE,
        ) from None


# What a lease of each kind may change: a forged one must not lead devloop's rights to anything else.
_ALLOWED: Final = {
    Kind.BRANCH: re.compile(r"/spec/(source|sources/[0-9]{1,3}|sourceHydrator/drySource)/(targetRevision|repoURL)"),
    Kind.PAUSE: re.compile(r"/spec/syncPolicy/automated"),
}


def _check(record: Record) -> None:
    """Raise ValueError for a record that is not of this form, or would change something else."""
    if record.version != VERSION:
        raise ValueError(f"version {record.version}")
    if not record.entries:
        raise ValueError("it names no Application")
    for entry in record.entries:
        if not entry.name or not entry.namespace or not entry.fields:
            raise ValueError("it names no Application, or no field")
        for each in entry.fields:
            if not _ALLOWED[record.kind].fullmatch(each.path):
                raise ValueError(f"{each.path} is no field of a {record.kind}")
            text = record.kind is Kind.BRANCH
            if any(
                value is not None and isinstance(value, str) is not text
                for value in (each.old, each.new, *each.earlier)
            ):
                raise ValueError(f"a value of {each.path} is of the wrong type")


def _time(spec: Mapping[str, Any], key: str) -> datetime.datetime | None:
    text = application.text(spec, key)
    if not text:
        return None
    time = datetime.datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=datetime.UTC)
