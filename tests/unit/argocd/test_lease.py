"""What is written down before an Application is changed, and read back by anybody's devloop."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.argocd import application, lease

NOW = datetime.datetime(2026, 11, 20, 10, 0, tzinfo=datetime.UTC)
FIELD = lease.Field("/spec/source/targetRevision", "main", "feature/x")
ENTRY = lease.Entry("argocd", "shop", "u1", (FIELD,))


def made(**more: Any) -> lease.Lease:
    record = more.pop("record", lease.Record(lease.Kind.BRANCH, (ENTRY,), "feature/x"))
    owner = lease.Owner("ann@thinkpad", "ann@example.com", "i1")
    return lease.Lease("devloop-branch-argocd.shop", "ann", record, owner, "5e55", **more)


def test_what_is_written_is_what_is_read() -> None:
    one = made(duration_s=7200)
    found = lease.read(one.manifest(NOW))
    assert (found.record, found.owner, found.session, found.duration_s) == (one.record, one.owner, "5e55", 7200)
    assert found.acquired == found.renewed == NOW
    assert found.reference == "ann/devloop-branch-argocd.shop"


def test_it_is_labelled_as_everything_that_devloop_makes() -> None:
    labels = made().manifest(NOW)["metadata"]["labels"]
    assert labels == {"devloop.dev/session": "5e55", "devloop.dev/env-lease": "branch"}


def test_when_it_ends() -> None:
    forever = lease.read(made().manifest(NOW))
    assert forever.ends is None and not forever.has_expired(NOW + datetime.timedelta(days=900))
    one = lease.read(made(duration_s=60).manifest(NOW))
    assert not one.has_expired(NOW + datetime.timedelta(seconds=59))
    assert one.has_expired(NOW + datetime.timedelta(seconds=60))


def test_names_are_names_of_objects_and_of_one_application_each() -> None:
    reference = application.Reference("argocd", "shop")
    assert lease.name_of(lease.Kind.BRANCH, reference) == "devloop-branch-argocd.shop"
    assert lease.name_of(lease.Kind.PAUSE, reference) == "devloop-pause-argocd.shop"
    assert len(lease.name_of(lease.Kind.BRANCH, application.Reference("a" * 63, "b" * 253))) < 253


def test_who_is_the_same() -> None:
    ann = lease.Owner("ann@thinkpad", "ann@example.com", "i1")
    assert ann.is_same(lease.Owner("root@renamed", "", "i1"))
    assert ann.is_same(lease.Owner("ann@desktop", "ann@example.com", "i2"))
    # a shared account of the cluster, another person
    assert not ann.is_same(lease.Owner("bob@desktop", "ann@example.com", "i2"))
    # hosts and names alone prove nothing
    assert not ann.is_same(lease.Owner("ann@thinkpad", "", "i2"))


def record(**changes: Any) -> dict[str, Any]:
    raw = made().manifest(NOW)
    told = msgspec.json.decode(raw["metadata"]["annotations"][lease.RECORD])
    told |= changes
    raw["metadata"]["annotations"][lease.RECORD] = msgspec.json.encode(told).decode()
    return raw


def entry(path: str, old: Any = "a", new: Any = "b") -> list[dict[str, Any]]:
    return [{"namespace": "argocd", "name": "shop", "uid": "u", "fields": [{"path": path, "old": old, "new": new}]}]


@pytest.mark.parametrize(
    "raw",
    [
        record(version=2),
        record(entries=[]),
        record(kind="delete"),
        record(entries=[{"namespace": "argocd", "name": "", "uid": "u", "fields": []}]),
        record(entries=entry("/spec/project")),
        record(entries=entry("/metadata/finalizers")),
        record(entries=entry("/spec/source/targetRevision/../../project")),
        record(entries=entry("/spec/sources/1234/targetRevision")),
        record(entries=entry("/spec/syncPolicy/automated")),
        record(kind="pause", entries=entry("/spec/source/repoURL")),
        record(kind="pause", entries=entry("/spec/syncPolicy/automated", "main")),
        record(entries=entry("/spec/source/targetRevision", {"a": 1})),
        {},
        {"metadata": {"annotations": {lease.RECORD: "{"}}},
        {"metadata": {"annotations": {lease.RECORD: "[]"}}},
        {**made().manifest(NOW), "spec": {"renewTime": "yesterday"}},
    ],
)
def test_a_lease_that_is_damaged_or_forged_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(errors.ClusterError) as raised:
        lease.read(raw)
    assert raised.value.error_code == "DL1020"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["kind", "entries", "asked", "version"]), json))
def test_whatever_is_in_the_record_it_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        assert lease.read(record(**changes)).record.entries
    except errors.ClusterError as error:
        assert error.error_code == "DL1020"
