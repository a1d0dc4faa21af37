"""A template is changed under a lease and put back exactly, whoever is killed and whoever changes it meanwhile."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from devloop import errors
from devloop.inject import lease, leasing, patch, putback, rollout, running, template
from devloop.kube import workloads
from devloop.podspec import inject, names, request
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench
from tests.unit.inject.test_lease import ONE

ANN = lease.Owner("ann@laptop")
BOB = lease.Owner("bob@desk")
ASKED = patch.Asked(
    reference=workloads.parse("deployment/web"),
    service=request.Service("web", (request.Sync("/app"),)),
    agent_image="agent:1",
    project="shop-1",
    timeout_s=20.0,
)
NO_RIGHT = 'User "ann" cannot patch resource "deployments" in API group "apps" in the namespace "dev"'
DEPLOYMENT = "/apis/apps/v1/deployments/web"
LEASES = "/apis/coordination.k8s.io/v1/leases"


def quiet(line: str) -> None:
    """Say nothing."""


async def install(bench: Bench, asked: patch.Asked = ASKED, me: lease.Owner = ANN, **how: Any) -> patch.Installed:
    return await patch.install(bench.api, "dev", msgspec.structs.replace(asked, **how), me, quiet)


async def held(bench: Bench) -> lease.Lease:
    found = await leasing.find(bench.api, "dev", "deployment/web")
    assert found is not None
    return found


async def test_the_lease_is_written_before_the_change_and_after_it_was_tried(bench: Bench) -> None:
    done = await install(bench)
    assert bench.cluster.log[-3:] == [f"PATCH {DEPLOYMENT} (dry run)", f"POST {LEASES}", f"PATCH {DEPLOYMENT}"]
    assert done.changed and done.notes and done.lease == await held(bench)
    assert inject.is_injected(bench.cluster.template)


async def test_it_is_put_back_exactly_and_the_lease_is_gone(bench: Bench) -> None:
    before = copy.deepcopy(bench.cluster.template)
    done = await install(bench)
    assert done.lease is not None
    assert await putback.restore(bench.api, "dev", done.lease) is putback.End.RESTORED
    assert bench.cluster.template == before
    assert fake_cluster.LEASE not in bench.cluster.objects


async def test_doing_it_twice_is_doing_it_once(bench: Bench) -> None:
    first = await install(bench)
    template = copy.deepcopy(bench.cluster.template)
    second = await install(bench)
    assert first.lease is not None and second.lease is not None
    assert not second.changed and bench.cluster.template == template
    assert (second.lease.session, second.lease.restore) == (first.lease.session, first.lease.restore)


async def test_another_devloop_yaml_is_injected_anew_and_still_put_back_exactly(bench: Bench) -> None:
    before = copy.deepcopy(bench.cluster.template)
    await install(bench)
    other = request.Service("web", (request.Sync("/srv"),), env=(("DEBUG", "1"),))
    done = await install(bench, service=other)
    assert done.changed and done.lease is not None
    assert await putback.restore(bench.api, "dev", done.lease) is putback.End.RESTORED
    assert bench.cluster.template == before


async def test_a_process_that_was_killed_before_the_change_leaves_a_lease_that_changes_nothing(bench: Bench) -> None:
    before = copy.deepcopy(bench.cluster.template)
    bench.cluster.hooks[f"POST {fake_cluster.LEASE.rpartition('/')[0]}"] = lambda: bench.cluster.refused.update(
        {
            f"PATCH {fake_cluster.WORKLOAD}": (500, "killed", "InternalError"),
            f"DELETE {fake_cluster.LEASE}": (500, "", ""),
        }
    )
    with pytest.raises(errors.UnreachableError):
        await install(bench)
    bench.cluster.refused.clear()
    assert await putback.restore(bench.api, "dev", await held(bench)) is putback.End.RESTORED
    assert bench.cluster.template == before


async def test_a_change_that_is_not_allowed_leaves_no_lease(bench: Bench) -> None:
    bench.cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"] = (403, NO_RIGHT, "Forbidden")
    with pytest.raises(errors.ForbiddenError):
        await install(bench)
    assert fake_cluster.LEASE not in bench.cluster.objects


def by_others(bench: Bench) -> Callable[[], None]:
    def change() -> None:
        made = copy.deepcopy(bench.cluster.objects[fake_cluster.WORKLOAD])
        made["spec"]["template"]["metadata"]["labels"]["by"] = "others"
        bench.cluster.put(fake_cluster.WORKLOAD, made)

    return change


async def test_a_template_that_changed_between_look_and_change_is_looked_at_again(bench: Bench) -> None:
    leases = fake_cluster.LEASE.rpartition("/")[0]
    bench.cluster.hooks[f"POST {leases}"] = by_others(bench)
    done = await install(bench)
    assert done.lease is not None
    assert bench.cluster.template["metadata"]["labels"] == {"app": "web", "by": "others"}
    assert await putback.restore(bench.api, "dev", done.lease) is putback.End.RESTORED
    assert bench.cluster.template["metadata"]["labels"] == {"app": "web", "by": "others"}


async def test_another_owner_is_named_and_nothing_is_changed(bench: Bench) -> None:
    await install(bench)
    bench.cluster.log.clear()
    with pytest.raises(errors.OwnedError, match="ann@laptop") as caught:
        await install(bench, me=BOB)
    assert caught.value.owner == "ann@laptop" and "--takeover" in caught.value.hint
    assert bench.cluster.log == []


async def test_of_two_who_come_at_once_the_second_is_told(bench: Bench) -> None:
    theirs = msgspec.structs.replace(ONE, owner=BOB).manifest("dev")
    leases = fake_cluster.LEASE.rpartition("/")[0]
    bench.cluster.hooks[f"POST {leases}"] = lambda: bench.cluster.put(fake_cluster.LEASE, theirs)
    before = copy.deepcopy(bench.cluster.template)
    with pytest.raises(errors.OwnedError, match="bob@desk"):
        await install(bench)
    assert bench.cluster.template == before


async def test_taking_over_keeps_the_way_back(bench: Bench) -> None:
    before = copy.deepcopy(bench.cluster.template)
    first = await install(bench)
    second = await install(bench, me=BOB, takeover=True)
    assert first.lease is not None and second.lease is not None
    assert (second.lease.owner, second.lease.epoch) == (BOB, 1)
    assert second.lease.session != first.lease.session
    with pytest.raises(errors.OwnedError, match="bob@desk"):
        await leasing.renew(bench.api, "dev", first.lease)
    assert await putback.restore(bench.api, "dev", second.lease) is putback.End.RESTORED
    assert bench.cluster.template == before


async def test_what_install_made_stays_installed_when_a_watch_patches_it(bench: Bench) -> None:
    await install(bench)
    done = await install(bench, until=lease.Until.WATCH)
    assert done.lease is not None and done.lease.until is lease.Until.DOWN


async def test_pods_that_do_not_come_up_are_undone(bench: Bench) -> None:
    before = copy.deepcopy(bench.cluster.template)
    bench.cluster.objects[fake_cluster.WORKLOAD]["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    ]
    bench.cluster.rolls_out = False
    with pytest.raises(errors.RefusedError, match="exceeded quota") as caught:
        await install(bench)
    assert caught.value.error_code == rollout.CODE
    assert bench.cluster.template == before
    assert fake_cluster.LEASE not in bench.cluster.objects


async def test_an_agent_that_the_manifests_bring_is_left_alone(bench: Bench) -> None:
    platform = request.Platform("agent:1")
    made = inject.inject(bench.cluster.template, ASKED.service, platform)
    bench.cluster.objects[fake_cluster.WORKLOAD]["spec"]["template"] = made.pod
    assert await install(bench) == patch.Installed(None)
    assert bench.cluster.log == []


async def test_a_pod_that_cannot_take_an_agent_is_refused_with_the_reason(bench: Bench) -> None:
    bench.cluster.template["spec"]["hostNetwork"] = True
    with pytest.raises(errors.RefusedError, match="the pod uses its node's network") as caught:
        await install(bench)
    assert caught.value.error_code == "DL0805" and bench.cluster.log == []


async def test_the_user_comes_from_a_running_pod_where_the_template_names_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def user_of(api: object, namespace: str, pod: object, container: str) -> running.User:
        assert (namespace, container) == ("dev", "app")
        return running.User(1234, 5678, "a test")

    monkeypatch.setattr(running, "user_of", user_of)
    del bench.cluster.template["spec"]["containers"][0]["securityContext"]
    await install(bench)
    (agent,) = [each for each in bench.cluster.template["spec"]["initContainers"] if each["name"] == names.AGENT]
    assert (agent["securityContext"]["runAsUser"], agent["securityContext"]["runAsGroup"]) == (1234, 5678)


@pytest.mark.parametrize("workload", ["rollout/web", "pod/web"])
async def test_other_kinds_are_refused_with_the_way_that_works(bench: Bench, workload: str) -> None:
    with pytest.raises(errors.UsageError, match="cannot be patched") as caught:
        await install(bench, reference=workloads.parse(workload))
    assert caught.value.error_code == template.CODE


async def test_a_claim_is_made_once_and_labelled(bench: Bench) -> None:
    keeps = request.Service("web", (request.Sync("/app"),), persist=("/cache",))
    done = await install(bench, service=keeps)
    claim = bench.cluster.objects["/api/v1/namespaces/dev/persistentvolumeclaims/devloop-web"]
    assert done.lease is not None
    assert claim["metadata"]["labels"]["devloop.dev/session"] == done.lease.session
    await install(bench, service=keeps)


async def test_a_change_that_is_refused_leaves_no_claim(bench: Bench) -> None:
    keeps = request.Service("web", (request.Sync("/app"),), persist=("/cache",))
    bench.cluster.refused[f"POST {LEASES.replace('/v1/', '/v1/namespaces/dev/')}"] = (422, "no", "Invalid")
    with pytest.raises(errors.RefusedError, match="no"):
        await install(bench, service=keeps)
    assert [path for path in bench.cluster.objects if "persistentvolumeclaims" in path] == []


async def test_pods_that_do_not_come_up_leave_no_claim(bench: Bench) -> None:
    keeps = request.Service("web", (request.Sync("/app"),), persist=("/cache",))
    bench.cluster.rolls_out = False
    with pytest.raises(errors.RefusedError, match="did not come up"):
        await install(bench, service=keeps, timeout_s=0.05)
    left = [path for path in bench.cluster.objects if "persistentvolumeclaims" in path or path == fake_cluster.LEASE]
    assert left == []


async def test_a_change_of_which_nobody_knows_whether_it_was_made_keeps_what_undoes_it(bench: Bench) -> None:
    lost = (504, "the request timed out", "Timeout")

    def then() -> None:
        bench.cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"] = lost

    bench.cluster.hooks[f"POST {LEASES.replace('/v1/', '/v1/namespaces/dev/')}"] = then
    with pytest.raises(errors.UnreachableError):
        await install(bench)
    assert fake_cluster.LEASE in bench.cluster.objects
