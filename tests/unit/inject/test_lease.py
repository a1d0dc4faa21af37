"""What is written down before a change, and read again by whoever undoes it."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from devloop import errors
from devloop.inject import lease, marks
from devloop.podspec import undo

ANN = lease.Owner("ann@laptop")
ONE = lease.Lease(
    workload="deployment/web",
    service="web",
    project="shop-1",
    owner=lease.Owner("ann@laptop", "ann@example.com"),
    session="0123456789abcdef",
    until=lease.Until.WATCH,
    restore=undo.Restore('{"version": 1}', "before", "after"),
    epoch=3,
)


def test_a_lease_survives_the_way_through_the_cluster() -> None:
    raw = ONE.manifest("dev")
    raw["metadata"] |= {"resourceVersion": "7", "uid": "u"}
    found = lease.read(raw)
    assert found.renewed
    assert msgspec.structs.replace(found, renewed="", version="", uid="") == ONE
    assert (found.version, found.uid) == ("7", "u")
    assert found.manifest("dev")["metadata"]["resourceVersion"] == "7"


def test_it_is_labelled_and_its_time_is_one_that_a_lease_takes() -> None:
    raw = ONE.manifest("dev")
    assert raw["metadata"]["labels"] == {marks.LABEL: ONE.session}
    assert raw["spec"]["leaseDurationSeconds"] == lease.DURATION_S
    assert len(raw["spec"]["renewTime"]) == len("2026-01-01T00:00:00.000000Z")


def test_one_that_ends_by_down_does_not_expire() -> None:
    stays = msgspec.structs.replace(ONE, until=lease.Until.DOWN)
    assert "leaseDurationSeconds" not in stays.manifest("dev")["spec"]


def _spoilt(change: str) -> dict[str, Any]:
    raw = copy.deepcopy(ONE.manifest("dev"))
    notes = raw["metadata"]["annotations"]
    match change:
        case "no restore":
            del notes[undo.RESTORE]
        case "no json":
            notes[undo.RESTORE] = "{"
        case "newer":
            notes[undo.RESTORE] = notes[undo.RESTORE].replace('"version":1}', '"version":2}')
        case "no workload":
            notes[undo.WORKLOAD] = "web"
        case "until":
            notes[lease.UNTIL] = "whenever"
        case "epoch":
            raw["spec"]["leaseTransitions"] = "many"
        case _:
            raw["metadata"]["annotations"] = None
    return raw


@pytest.mark.parametrize("change", ["no restore", "no json", "newer", "no workload", "until", "epoch", "nothing"])
def test_what_cannot_be_undone_is_told_and_never_guessed(change: str) -> None:
    with pytest.raises(errors.ClusterError, match="the lease devloop-deployment-web cannot be understood") as caught:
        lease.read(_spoilt(change))
    assert caught.value.error_code == lease.CODE


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (lease.Owner("ann@laptop"), True),
        (lease.Owner("ann@desktop"), False),
        (lease.Owner("ann@desktop", "ann@example.com"), True),
        (lease.Owner("bob@laptop", "ann@example.com"), False),
        (lease.Owner("ann@desktop", "team@example.com"), False),
    ],
)
def test_the_same_person_on_another_laptop(other: lease.Owner, same: bool) -> None:
    assert ONE.owner.is_same(other) is same
    assert other.is_same(ONE.owner) is same


def test_two_whom_the_cluster_does_not_name_are_told_apart_by_their_laptops() -> None:
    assert not lease.Owner("ann@one").is_same(lease.Owner("ann@two"))


def test_names_are_those_that_kubernetes_takes() -> None:
    assert lease.name_of("deployment/web") == "devloop-deployment-web"
    long, other = (lease.name_of("deployment/" + "a" * 250 + end) for end in "xy")
    assert len(long) <= 253 and long != other
