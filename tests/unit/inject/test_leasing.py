"""Leases in a cluster: who has one, who takes it over, who may delete it."""

from __future__ import annotations

import msgspec
import pytest

from devloop import errors
from devloop.inject import ending, lease, leasing
from devloop.state import identity
from tests.unit.argocd import test_lease
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench
from tests.unit.inject.test_lease import ONE


async def test_who_the_user_is_where_the_cluster_tells(bench: Bench) -> None:
    bench.cluster.user = "ann@example.com"
    assert await leasing.whoami(bench.api) == lease.Owner(identity.owner(), "ann@example.com")


async def test_who_the_user_is_where_it_does_not(bench: Bench) -> None:
    assert await leasing.whoami(bench.api) == lease.Owner(identity.owner())


async def test_there_is_none_before_it_is_written(bench: Bench) -> None:
    assert await leasing.find(bench.api, "dev", "deployment/web") is None
    written = await leasing.write(bench.api, "dev", ONE)
    assert await leasing.find(bench.api, "dev", "deployment/web") == written
    assert (await leasing.every(bench.api, "dev"))[0] == [written]


async def test_two_who_want_one_workload_meet(bench: Bench) -> None:
    await leasing.write(bench.api, "dev", ONE)
    with pytest.raises(errors.ConflictError):
        await leasing.write(bench.api, "dev", ONE)


async def test_one_that_was_changed_meanwhile_is_not_written_over(bench: Bench) -> None:
    written = await leasing.write(bench.api, "dev", ONE)
    await leasing.write(bench.api, "dev", msgspec.structs.replace(written, epoch=9))
    with pytest.raises(errors.ConflictError):
        await leasing.write(bench.api, "dev", written)
    with pytest.raises(errors.ConflictError):
        await leasing.give_back(bench.api, "dev", written)
    assert fake_cluster.LEASE in bench.cluster.objects


async def test_renewing_keeps_what_is_written(bench: Bench) -> None:
    written = await leasing.write(bench.api, "dev", ONE)
    renewed = await leasing.renew(bench.api, "dev", written)
    assert renewed.renewed > written.renewed
    assert msgspec.structs.replace(renewed, renewed="", version="") == msgspec.structs.replace(
        written, renewed="", version=""
    )


async def test_one_that_was_taken_over_is_not_renewed(bench: Bench) -> None:
    written = await leasing.write(bench.api, "dev", ONE)
    theirs = msgspec.structs.replace(written, session="other", owner=lease.Owner("bob@desk"))
    await leasing.write(bench.api, "dev", theirs)
    with pytest.raises(errors.OwnedError, match="taken over by bob@desk"):
        await leasing.renew(bench.api, "dev", written)


async def test_one_that_was_ended_is_not_renewed(bench: Bench) -> None:
    written = await leasing.write(bench.api, "dev", ONE)
    await leasing.give_back(bench.api, "dev", written)
    with pytest.raises(errors.OwnedError, match="was ended"):
        await leasing.renew(bench.api, "dev", written)
    await leasing.give_back(bench.api, "dev", written)


async def test_those_on_applications_are_somebody_elses_business(bench: Bench) -> None:
    one = test_lease.made().manifest(test_lease.NOW)
    one["metadata"] |= {"namespace": "dev", "resourceVersion": "1", "uid": "u"}
    path = fake_cluster.LEASE.replace("devloop-deployment-web", one["metadata"]["name"])
    bench.cluster.put(path, one)
    assert await leasing.every(bench.api, "dev") == ([], [])
    assert (await ending.prove(bench.api, "dev")).left == ()


async def test_one_that_cannot_be_understood_does_not_hide_the_others(bench: Bench) -> None:
    written = await leasing.write(bench.api, "dev", ONE)
    strange = ONE.manifest("dev")
    strange["metadata"] |= {"name": "strange", "annotations": {}}
    bench.cluster.put(fake_cluster.LEASE.replace("devloop-deployment-web", "strange"), strange)
    found, wrong = await leasing.every(bench.api, "dev")
    assert found == [written]
    assert [each.message.split(":")[0] for each in wrong] == ["the lease strange cannot be understood"]


def test_the_leases_on_some_workloads() -> None:
    assert leasing.of_workloads([ONE], ["deployment/web"]) == [ONE]
    assert leasing.of_workloads([ONE], ["deployment/api"]) == []


async def test_a_session_that_the_sweeper_ended_is_not_called_taken_over(bench: Bench) -> None:
    written = await leasing.write(bench.api, "dev", ONE)
    await leasing.write(bench.api, "dev", msgspec.structs.replace(written, session=f"{ONE.session}-over"))
    with pytest.raises(errors.OwnedError, match="the session on deployment/web was ended"):
        await leasing.renew(bench.api, "dev", written)


async def test_who_restores_in_the_cluster_is_told_by_the_charts_lease(bench: Bench) -> None:
    path = fake_cluster.LEASE.replace("devloop-deployment-web", "devloop-sweeper")
    assert await leasing.sweeper(bench.api, "dev") == ""
    bench.cluster.put(path, {"spec": {"holderIdentity": "ops/devloop"}})
    assert await leasing.sweeper(bench.api, "dev") == "ops/devloop"
    bench.cluster.refused[f"GET {path}"] = (403, "no", "Forbidden")
    assert await leasing.sweeper(bench.api, "dev") == ""
