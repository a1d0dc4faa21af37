"""When the new pods have their agents, and when they never will."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from devloop import errors
from devloop.inject import rollout
from devloop.kube import workloads
from devloop.podspec import names
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench
from tests.unit.kube import test_pods

WEB = workloads.parse("deployment/web")


def pod(name: str = "web-5d-a", record: str = "new", **how: Any) -> dict[str, Any]:
    made = test_pods.raw(name, **how)
    made["metadata"]["annotations"] = {names.ANNOTATION: record}
    return made


def deployment(replicas: int = 1, **status: Any) -> dict[str, Any]:
    made = fake_cluster.deployment()
    made["spec"]["replicas"] = replicas
    made["status"] |= status
    return made


def waiting(name: str, reason: str, message: str = "why") -> dict[str, Any]:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}}


def test_it_is_done_when_every_new_pod_has_its_agent_ready_or_not() -> None:
    there = [pod("a", ready=False), pod("b"), pod("old", record="old")]
    assert rollout.judge(deployment(2), there, "new").is_done


@pytest.mark.parametrize(
    "there",
    [
        [],
        [pod("a")],
        [pod("a"), pod("old", record="old")],
        [pod("a"), pod("b", agent={})],
        [pod("a"), pod("b", terminating=True)],
    ],
)
def test_it_is_not_done_before(there: list[dict[str, Any]]) -> None:
    assert not rollout.judge(deployment(2), there, "new").is_done


def test_a_change_that_the_controller_has_not_seen_is_not_done() -> None:
    assert not rollout.judge(deployment(0, observedGeneration=0), [], "new").is_done
    assert rollout.judge(deployment(0), [], "new").is_done


def test_a_daemon_set_has_as_many_pods_as_nodes_want_it() -> None:
    made = {"kind": "DaemonSet", "spec": {}, "status": {"desiredNumberScheduled": 3}}
    assert rollout.judge(made, [], "new").wanted == 3


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"]
)
@pytest.mark.parametrize("group", ["initContainerStatuses", "containerStatuses"])
def test_what_the_kubelet_will_not_mend_is_trouble_at_once(reason: str, group: str) -> None:
    bad = pod(agent=None)
    bad["status"][group] = [waiting("devloop-agent", reason)]
    found = rollout.judge(deployment(), [bad], "new")
    assert found.trouble == f"pod web-5d-a: container devloop-agent: {reason}: why"


def test_an_old_pods_trouble_is_its_own() -> None:
    bad = pod(agent=None, record="old")
    bad["status"]["containerStatuses"] = [waiting("app", "ErrImagePull")]
    assert rollout.judge(deployment(), [bad], "new").trouble == ""


def test_an_app_that_crashes_is_no_trouble() -> None:
    assert rollout.judge(deployment(), [pod(app={"waiting": {"reason": "CrashLoopBackOff"}})], "new").is_done


def test_a_seed_that_failed_is_told_in_its_own_words() -> None:
    bad = pod(agent=None)
    ended = {"name": "devloop-seed", "state": {"terminated": {"exitCode": 1, "message": "disk full\n"}}}
    bad["status"]["initContainerStatuses"] = [ended]
    found = rollout.judge(deployment(), [bad], "new")
    assert found.trouble == "pod web-5d-a: container devloop-seed failed with exit status 1: disk full"


def test_an_init_container_of_the_apps_own_may_fail_and_try_again() -> None:
    made = pod()
    made["status"]["initContainerStatuses"] += [{"name": "migrate", "state": {"terminated": {"exitCode": 1}}}]
    assert rollout.judge(deployment(), [made], "new").trouble == ""


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"},
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"},
    ],
)
def test_pods_that_are_not_made_at_all(condition: dict[str, str]) -> None:
    found = rollout.judge(deployment(conditions=[condition]), [], "new")
    assert found.trouble == f"{condition['reason']}: {condition['message']}"


async def test_waiting_ends_with_the_last_agent(bench: Bench) -> None:
    made = copy.deepcopy(bench.cluster.template)
    record = "the record"
    bench.cluster.template.setdefault("metadata", {})["annotations"] = {names.ANNOTATION: record}
    bench.cluster.template["spec"]["containers"].append({"name": names.AGENT})
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        bench.cluster.roll_out()

    found = await rollout.wait(bench.api, "dev", WEB, record, say, timeout_s=20, poll_s=0.01)
    assert found.is_done and made != bench.cluster.template
    assert lines == ["deployment/web: 0 of 1 pods have the agent"]


async def test_waiting_gives_up_in_time_and_says_for_what(bench: Bench) -> None:
    with pytest.raises(errors.RefusedError, match="did not come up with the agent within 0 s") as caught:
        await rollout.wait(bench.api, "dev", WEB, "never", lambda line: None, timeout_s=0.1, poll_s=0.01)
    assert caught.value.error_code == rollout.CODE


async def test_an_api_server_that_restarts_is_waited_for(bench: Bench) -> None:
    busy = f"GET {fake_cluster.WORKLOAD}"
    bench.cluster.refused[busy] = (503, "starting", "ServiceUnavailable")
    bench.cluster.template.setdefault("metadata", {})["annotations"] = {names.ANNOTATION: "r"}
    bench.cluster.template["spec"]["containers"].append({"name": names.AGENT})
    bench.cluster.roll_out()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        bench.cluster.refused.pop(busy, None)

    assert (await rollout.wait(bench.api, "dev", WEB, "r", say, timeout_s=20, poll_s=0.01)).is_done
    assert lines[0].endswith("still waiting")
