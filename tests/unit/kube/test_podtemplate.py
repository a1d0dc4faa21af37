"""A template is replaced only as it was seen."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devloop import errors
from devloop.kube import podtemplate, workloads
from devloop.podspec import outcome
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench

WEB = workloads.parse("deployment/web")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with fake_cluster.serving() as (cluster, api):
        yield Bench(cluster, api)


def original() -> outcome.Tree:
    found: outcome.Tree = fake_cluster.deployment()["spec"]["template"]
    return found


def changed() -> outcome.Tree:
    return {**original(), "metadata": {"labels": {"app": "web", "more": "x"}}}


def test_a_workload_without_a_template() -> None:
    assert podtemplate.of({"spec": {"template": {}}}, WEB) == {}
    with pytest.raises(errors.ClusterError, match="has no pod template"):
        podtemplate.of({"spec": {"workloadRef": {}}}, WEB)


async def test_it_is_replaced_as_it_was_seen(bench: Bench) -> None:
    before, after = original(), changed()
    assert await podtemplate.replace(bench.api, "dev", WEB, before, after) == after
    assert bench.cluster.template == after


async def test_a_dry_run_changes_nothing(bench: Bench) -> None:
    assert await podtemplate.replace(bench.api, "dev", WEB, original(), changed(), dry=True) == changed()
    assert bench.cluster.template == original()


async def test_one_that_is_another_by_now_is_left(bench: Bench) -> None:
    assert await podtemplate.replace(bench.api, "dev", WEB, changed(), original()) is None
    assert bench.cluster.template == original()


async def test_one_that_is_refused_for_itself_is_an_error(bench: Bench) -> None:
    bench.cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"] = (422, "spec.template: Invalid value", "Invalid")
    with pytest.raises(errors.RefusedError, match="Invalid value"):
        await podtemplate.replace(bench.api, "dev", WEB, original(), changed())
