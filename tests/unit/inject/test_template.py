"""A template is replaced only as it was seen, and its parts of devloop are told from others'."""

from __future__ import annotations

import copy

import pytest

from devloop import errors
from devloop.inject import template
from devloop.kube import workloads
from devloop.podspec import inject, names, outcome, request
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench

WEB = workloads.parse("deployment/web")
SERVICE = request.Service("web", (request.Sync("/app"),))


def original() -> outcome.Tree:
    found: outcome.Tree = fake_cluster.deployment()["spec"]["template"]
    return found


def injected() -> outcome.Tree:
    return inject.inject(original(), SERVICE, request.Platform("agent:1")).pod


def test_a_workload_without_a_template() -> None:
    assert template.of({"spec": {"template": {}}}, WEB) == {}
    with pytest.raises(errors.ClusterError, match="has no pod template"):
        template.of({"spec": {"workloadRef": {}}}, WEB)


async def test_it_is_replaced_as_it_was_seen(bench: Bench) -> None:
    before, after = original(), injected()
    assert await template.replace(bench.api, "dev", WEB, before, after) == after
    assert bench.cluster.template == after


async def test_a_dry_run_changes_nothing(bench: Bench) -> None:
    assert await template.replace(bench.api, "dev", WEB, original(), injected(), dry=True) == injected()
    assert bench.cluster.template == original()


async def test_one_that_is_another_by_now_is_left(bench: Bench) -> None:
    assert await template.replace(bench.api, "dev", WEB, injected(), original()) is None
    assert bench.cluster.template == original()


async def test_one_that_is_refused_for_itself_is_an_error(bench: Bench) -> None:
    bench.cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"] = (422, "spec.template: Invalid value", "Invalid")
    with pytest.raises(errors.RefusedError, match="Invalid value"):
        await template.replace(bench.api, "dev", WEB, original(), injected())


def test_without_devloops_parts_it_is_the_original() -> None:
    assert template.without(original(), "") == original()
    assert template.without(injected(), "") == original()


@pytest.mark.parametrize("spoilt", [None, "{"])
def test_a_lost_or_spoilt_annotation_is_made_good_by_the_record(spoilt: str | None) -> None:
    record = template.record_of(injected())
    made = copy.deepcopy(injected())
    if spoilt is None:
        del made["metadata"]["annotations"]
    else:
        made["metadata"]["annotations"][names.ANNOTATION] = spoilt
    assert template.without(made, record) == original()


def test_without_either_nothing_is_guessed() -> None:
    made = injected()
    made["metadata"]["annotations"][names.ANNOTATION] = "{"
    with pytest.raises(errors.RefusedError, match="cannot be read"):
        template.without(made, "")
