"""What a watch left patched is put back, and nothing else is ever changed, whatever a lease says."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.webhook import patches, renewals
from devloop.inject import lease, leasing, patch
from devloop.kube import workloads
from devloop.podspec import names, request, undo
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench

ANN = lease.Owner("ann@laptop")
SERVICE = request.Service("web", (request.Sync("/app"),))
EVENTS = "/api/v1/namespaces/dev/events/"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with fake_cluster.serving() as (cluster, api):
        yield Bench(cluster, api)


async def patched(bench: Bench, until: lease.Until = lease.Until.WATCH) -> dict[str, Any]:
    """Patch the workload as a watch does, and return the template from before."""
    before = copy.deepcopy(bench.cluster.template)
    asked = patch.Asked(workloads.parse("deployment/web"), SERVICE, "agent:1", "shop-1", until, timeout_s=5.0)
    await patch.install(bench.api, "dev", asked, ANN, lambda _line: None)
    # The API server writes this down; the one in memory does not.
    bench.cluster.objects[fake_cluster.WORKLOAD]["metadata"]["managedFields"] = [{"manager": names.MANAGER}]
    return before


def held(bench: Bench) -> dict[str, Any]:
    """Return the lease, whose patience is over at once."""
    found = bench.cluster.objects[fake_cluster.LEASE]
    found["spec"]["leaseDurationSeconds"] = 0.001
    return found


async def swept(bench: Bench) -> None:
    heard = renewals.Heard()
    for _ in range(2):
        await patches.sweep(bench.api, "dev", heard)
        await asyncio.sleep(0.002)
    await patches.sweep(bench.api, "dev", heard)


def said(bench: Bench) -> list[dict[str, Any]]:
    return [each for path, each in bench.cluster.objects.items() if path.startswith(EVENTS)]


async def test_what_a_watch_left_is_put_back_exactly_and_said_in_an_event(bench: Bench) -> None:
    before = await patched(bench)
    held(bench)
    await swept(bench)
    assert bench.cluster.template == before
    assert fake_cluster.LEASE not in bench.cluster.objects
    (event,) = said(bench)
    assert event["involvedObject"]["kind"] == "Deployment" and event["involvedObject"]["name"] == "web"
    assert (event["reason"], event["type"]) == (patches.RESTORED, "Normal")
    assert event["message"].endswith("so deployment/web was put back exactly as it was")


async def test_one_that_is_renewed_stays_by_our_clock_whatever_is_written(bench: Bench) -> None:
    await patched(bench)
    now = bench.cluster.template
    heard = renewals.Heard()
    for told in ("1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z"):
        held(bench)["spec"]["renewTime"] = told
        await patches.sweep(bench.api, "dev", heard)
        await asyncio.sleep(0.002)
    assert bench.cluster.template == now and said(bench) == []


async def test_an_old_time_alone_ends_nothing(bench: Bench) -> None:
    await patched(bench)
    bench.cluster.objects[fake_cluster.LEASE]["spec"]["renewTime"] = "1970-01-01T00:00:00.000000Z"
    await swept(bench)
    assert fake_cluster.LEASE in bench.cluster.objects and said(bench) == []


async def test_what_was_installed_to_stay_stays(bench: Bench) -> None:
    await patched(bench, lease.Until.DOWN)
    now = bench.cluster.template
    await swept(bench)
    assert bench.cluster.template == now and fake_cluster.LEASE in bench.cluster.objects


async def test_what_others_changed_meanwhile_is_kept(bench: Bench) -> None:
    before = await patched(bench)
    held(bench)
    bench.cluster.template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "now"
    await swept(bench)
    before["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    assert bench.cluster.template == before
    assert "what others changed was kept" in said(bench)[0]["message"]
    assert fake_cluster.LEASE not in bench.cluster.objects


async def test_where_it_was_put_back_by_somebody_else_the_lease_is_closed_and_nothing_changed(bench: Bench) -> None:
    await patched(bench)
    held(bench)
    bench.cluster.objects[fake_cluster.WORKLOAD]["spec"]["template"] = mine = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "app:2"}]},
    }
    await swept(bench)
    assert bench.cluster.template == mine and fake_cluster.LEASE not in bench.cluster.objects
    (event,) = said(bench)
    assert (event["reason"], event["type"]) == (patches.LEFT, "Warning")
    assert "nothing of devloop is in it any more" in event["message"]


async def test_an_agent_that_came_with_the_manifests_is_not_taken_out_by_a_lease_that_copies_its_record(
    bench: Bench,
) -> None:
    await patched(bench)
    held(bench)
    bench.cluster.objects[fake_cluster.WORKLOAD]["metadata"]["managedFields"] = [{"manager": "argocd-controller"}]
    now = copy.deepcopy(bench.cluster.template)
    await swept(bench)
    assert bench.cluster.template == now and fake_cluster.LEASE not in bench.cluster.objects
    assert "field manager devloop" in said(bench)[0]["message"]


async def test_another_record_than_the_leases_is_not_touched(bench: Bench) -> None:
    await patched(bench)
    held(bench)
    bench.cluster.template["metadata"]["annotations"][names.ANNOTATION] += " "
    now = copy.deepcopy(bench.cluster.template)
    await swept(bench)
    assert bench.cluster.template == now and fake_cluster.LEASE not in bench.cluster.objects
    assert "not what this lease is about" in said(bench)[0]["message"]


async def test_nothing_that_a_lease_says_comes_into_a_workload(bench: Bench) -> None:
    """Who may write leases and not workloads makes one that would bring a command of theirs in."""
    await patched(bench)
    found = held(bench)
    told = undo.read(found["metadata"]["annotations"])
    evil = told.record.replace('"restore":{}', '"restore":{"values":{"command":["evil"]}}')
    assert evil != told.record
    found["metadata"]["annotations"][undo.RESTORE] = undo.Restore(evil, told.original, told.injected).text()
    # The annotation is gone, so that the lease is all that tells how to go back.
    del bench.cluster.template["metadata"]["annotations"][names.ANNOTATION]
    now = copy.deepcopy(bench.cluster.template)
    await swept(bench)
    assert bench.cluster.template == now and "evil" not in str(now)
    # The one thing that can still undo it, in the hands of somebody with rights of their own.
    assert fake_cluster.LEASE in bench.cluster.objects
    assert "`devloop down` does" in said(bench)[0]["message"]


async def test_a_workload_that_is_gone_needs_no_lease(bench: Bench) -> None:
    await patched(bench)
    held(bench)
    del bench.cluster.objects[fake_cluster.WORKLOAD]
    await swept(bench)
    assert fake_cluster.LEASE not in bench.cluster.objects and said(bench) == []


async def test_a_watch_that_comes_back_meanwhile_keeps_it(bench: Bench) -> None:
    await patched(bench)
    held(bench)
    now = bench.cluster.template

    left = patches.read(copy.deepcopy(bench.cluster.objects[fake_cluster.LEASE]))
    assert left is not None
    # Whatever it writes, the lease is of another version now.
    bench.cluster.put(fake_cluster.LEASE, bench.cluster.objects[fake_cluster.LEASE])
    await patches.restore(bench.api, left)
    assert fake_cluster.LEASE in bench.cluster.objects
    assert bench.cluster.template == now and said(bench) == []


async def test_a_watch_that_comes_back_too_late_sees_that_its_session_ended(bench: Bench) -> None:
    await patched(bench)
    mine = await leasing.find(bench.api, "dev", "deployment/web")
    assert mine is not None
    held(bench)
    # Somebody has to look at it, so the lease stays; it is over all the same.
    del bench.cluster.template["metadata"]["annotations"][names.ANNOTATION]
    await swept(bench)
    with pytest.raises(Exception, match="the session on deployment/web was ended"):
        await leasing.renew(bench.api, "dev", mine)


async def test_what_may_not_be_changed_is_said_and_tried_again_later(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await patched(bench)
    held(bench)
    words = 'User "s" cannot patch resource "deployments" in API group "apps" in the namespace "dev"'
    bench.cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"] = (403, words, "Forbidden")
    await swept(bench)
    assert fake_cluster.LEASE in bench.cluster.objects
    assert "you may not patch deployments.apps in namespace dev" in caplog.text


async def test_a_template_that_changes_at_this_very_moment_is_looked_at_again(bench: Bench) -> None:
    before = await patched(bench)
    held(bench)

    def others() -> None:
        bench.cluster.template["metadata"]["labels"]["by"] = "others"

    bench.cluster.hooks[f"PATCH {fake_cluster.WORKLOAD}"] = others
    await swept(bench)
    before["metadata"]["labels"]["by"] = "others"
    assert bench.cluster.template == before


@pytest.mark.parametrize("spoilt", [{}, {undo.WORKLOAD: "x"}, {undo.WORKLOAD: "deployment/web", undo.RESTORE: "{"}])
async def test_a_lease_that_is_none_is_said_and_keeps_nobody_else(
    bench: Bench, spoilt: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    before = await patched(bench)
    held(bench)
    other = fake_cluster.LEASE.replace("-web", "-api")
    bench.cluster.put(
        other,
        {
            "metadata": {"annotations": spoilt, "labels": {names.SESSION: "x"}, "namespace": "dev"},
            "spec": {"leaseDurationSeconds": 0.001},
        },
    )
    await swept(bench)
    assert bench.cluster.template == before and other in bench.cluster.objects
    assert "devloop-deployment-api cannot be read" in caplog.text


async def test_trouble_in_one_namespace_does_not_keep_the_next(bench: Bench) -> None:
    before = await patched(bench)
    held(bench)
    words = 'User "s" cannot list resource "leases" in API group "coordination.k8s.io" in the namespace "else"'
    elsewhere = "/apis/coordination.k8s.io/v1/namespaces/else/leases"
    bench.cluster.refused[f"GET {elsewhere}"] = (403, words, "Forbidden")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(patches.run(bench.api, ("else", "dev"), every_s=0.002))
        while fake_cluster.LEASE in bench.cluster.objects:
            await asyncio.sleep(0.001)
        task.cancel()
    assert bench.cluster.template == before
