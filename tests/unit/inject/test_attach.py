"""What an attached agent looks like, when it is added, and every reason why it cannot be."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from agent import roots
from devloop.inject import attach, running
from devloop.inject.attach import Act, History
from devloop.podspec import outcome, request
from tests.unit.kube import test_pods

ANN = running.User(1000, 2000, "a test")
SERVICE = request.Service("web", (request.Sync("/app"), request.Sync("/srv/data")))
NEW = request.KubeVersion(1, 36)
ENDED = {"terminated": {"exitCode": 137, "reason": "Error"}}


def pod(**app: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web-1", "uid": "u"},
        "spec": {"containers": [{"name": "app", "image": "i", **app}], "volumes": []},
        "status": {},
    }


def subject(made: dict[str, Any] | None = None, service: request.Service = SERVICE) -> attach.Subject:
    return attach.Subject(made or pod(), "app", service, NEW)


def messages(one: attach.Subject) -> list[str]:
    return [each.message for each in attach.refusals(one)]


def test_a_plain_pod_can_have_one() -> None:
    assert messages(subject()) == []


def test_it_joins_the_apps_processes_as_its_user_without_any_right() -> None:
    made = attach.container(subject(), ANN, "agent:1", 3)
    assert (made["name"], made["targetContainerName"], made["image"]) == ("devloop-agent-3", "app", "agent:1")
    assert made["securityContext"] == {
        "runAsUser": 1000,
        "runAsGroup": 2000,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_it_has_only_fields_that_an_ephemeral_container_may_have() -> None:
    # k8s.io/kubernetes pkg/apis/core/validation: allowedEphemeralContainerFields
    forbidden = {"ports", "resources", "livenessProbe", "readinessProbe", "lifecycle", "restartPolicy"}
    assert not forbidden & attach.container(subject(), ANN, "agent:1", 1).keys()


def test_its_roots_are_what_the_agent_takes() -> None:
    args = attach.container(subject(), ANN, "agent:1", 1)["args"]
    specs = roots.parse_specs(args[args.index("--roots") + 1])
    assert [each.to for each in specs] == ["/app", "/srv/data"]
    assert specs[0].data == "/proc/1/root/app"
    assert json.loads(args[2])[0]["stage"] == "/proc/1/root/app/.devloop/stage"


def test_an_app_that_is_root_is_joined_with_what_it_has_and_no_more() -> None:
    root = running.User(0, 0, "a test")
    own = {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}, "seLinuxOptions": {"level": "s0"}}
    made = attach.container(subject(pod(securityContext=own)), root, "agent:1", 1)["securityContext"]
    assert (made["capabilities"], made["seLinuxOptions"]) == (own["capabilities"], own["seLinuxOptions"])
    assert "runAsNonRoot" not in made
    assert "capabilities" not in attach.container(subject(), root, "agent:1", 1)["securityContext"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"supervise": True}, "reload: supervise puts the app's command under the launcher"),
        ({"wait_first_sync": True}, "wait_first_sync cannot be given"),
        ({"env": (("A", "1"),), "image": "x"}, "env, image cannot be given"),
        ({"persist": ("/cache",)}, "persist cannot be given"),
        ({"probes": request.Probes.DROP}, "probes: drop cannot be given"),
        ({"syncs": (request.Sync("/etc"),)}, "/etc cannot be synced to"),
    ],
)
def test_services_that_need_a_new_pod(change: dict[str, Any], said: str) -> None:
    service = request.Service("web", change.pop("syncs", SERVICE.syncs), **change)
    (found,) = attach.refusals(subject(service=service))
    assert said in found.message and found.hint


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"shareProcessNamespace": True}, "with shareProcessNamespace the first process is not the app's"),
        ({"hostPID": True}, "with hostPID"),
        ({"hostUsers": False}, "with hostUsers: false"),
        ({"hostNetwork": True}, "its node's network"),
        ({"os": {"name": "windows"}}, "Windows"),
    ],
)
def test_pods_whose_files_cannot_be_reached(spec: dict[str, Any], said: str) -> None:
    made = pod()
    made["spec"] |= spec
    (found,) = messages(subject(made))
    assert said in found


def test_a_privileged_app() -> None:
    assert "privileged" in messages(subject(pod(securityContext={"privileged": True})))[0]


def test_a_read_only_root_but_for_its_volumes() -> None:
    read_only = {"readOnlyRootFilesystem": True}
    assert [text.split(",")[0] for text in messages(subject(pod(securityContext=read_only)))] == [
        "the app's root is read-only",
        "the app's root is read-only",
    ]
    mounts = [{"name": "a", "mountPath": "/app"}, {"name": "b", "mountPath": "/srv"}]
    made = pod(securityContext=read_only, volumeMounts=mounts)
    made["spec"]["volumes"] = [{"name": "a", "emptyDir": {}}, {"name": "b", "persistentVolumeClaim": {}}]
    assert messages(subject(made)) == []


@pytest.mark.parametrize(
    ("mount", "volume"),
    [({"readOnly": True}, {"emptyDir": {}}), ({}, {"configMap": {}}), ({}, {"secret": {}}), ({}, {"projected": {}})],
)
def test_a_volume_that_cannot_be_written(mount: dict[str, Any], volume: dict[str, Any]) -> None:
    made = pod(volumeMounts=[{"name": "a", "mountPath": "/app", **mount}])
    made["spec"]["volumes"] = [{"name": "a", **volume}]
    (found,) = messages(subject(made))
    assert found.startswith("/app is in the volume a, which is ")


def test_what_is_mounted_beneath_is_no_obstacle() -> None:
    made = pod(volumeMounts=[{"name": "a", "mountPath": "/app/config", "readOnly": True}])
    assert messages(subject(made)) == []


def test_a_cluster_that_is_too_old() -> None:
    old = attach.Subject(pod(), "app", SERVICE, request.KubeVersion(1, 24))
    assert "this is Kubernetes 1.24" in messages(old)[0]


def test_which_container() -> None:
    one, two = pod(), pod()
    two["spec"]["containers"].append({"name": "proxy"})
    assert attach.container_of(one, "") == "app"
    assert attach.container_of(two, "proxy") == "proxy"
    for made, wanted in ((two, ""), (one, "ap")):
        found = attach.container_of(made, wanted)
        assert isinstance(found, outcome.Refusal) and found.code == "DL0802"


# ---- when -------------------------------------------------------------------------------------------------------


def raw(*agents: dict[str, Any], run: str = "id-1", **how: Any) -> dict[str, Any]:
    made = test_pods.raw(agent=None, **how)
    made["status"]["containerStatuses"][0]["containerID"] = run
    names = [f"devloop-agent-{number + 1}" for number in range(len(agents))]
    made["spec"]["ephemeralContainers"] = [{"name": name} for name in names]
    states = zip(names, agents, strict=True)
    made["status"]["ephemeralContainerStatuses"] = [{"name": name, "state": state} for name, state in states]
    return made


def test_a_pod_without_an_agent_gets_the_first() -> None:
    step = attach.decide(raw(), "app", History())
    assert (step.act, step.number, step.history) == (Act.ADD, 1, History("id-1", 0, 0))


def test_what_was_attached_is_seen_whatever_became_of_it() -> None:
    assert [attach.was_attached(each) for each in (raw(), raw(ENDED), raw(test_pods.RUNNING))] == [False, True, True]


def test_it_is_not_added_twice_before_the_watch_shows_it() -> None:
    assert attach.decide(raw(), "app", History("id-1", 0, 1)).act is Act.NOTHING


@pytest.mark.parametrize("state", [test_pods.RUNNING, {}, test_pods.PULLING])
def test_one_that_runs_or_may_run_is_enough(state: dict[str, Any]) -> None:
    assert attach.decide(raw(state), "app", History("id-1", 0, 1)).act is Act.NOTHING


@pytest.mark.parametrize(
    ("state", "image", "act"),
    [
        (test_pods.PULLING, "other:1", Act.ADD),
        (test_pods.PULLING, "agent:1", Act.NOTHING),
        (test_pods.PULLING, "", Act.NOTHING),
        ({"waiting": {"reason": "ContainerCreating"}}, "other:1", Act.NOTHING),
        (test_pods.RUNNING, "other:1", Act.NOTHING),
    ],
)
def test_one_whose_image_does_not_come_is_followed_by_one_of_another_image(
    state: dict[str, Any], image: str, act: Act
) -> None:
    made = raw(state)
    made["spec"]["ephemeralContainers"][0]["image"] = "agent:1"
    assert attach.decide(made, "app", History(), image).act is act


def test_after_a_restart_of_the_app_another_one_is_added() -> None:
    step = attach.decide(raw(ENDED, run="id-2"), "app", History("id-1", 2, 1))
    assert (step.act, step.number, step.history) == (Act.ADD, 2, History("id-2", 0, 1))


def test_one_that_was_just_added_is_enough_although_the_cluster_lists_it_first() -> None:
    made = raw(ENDED, {}, run="id-2")
    made["spec"]["ephemeralContainers"].reverse()
    assert attach.decide(made, "app", History("id-2", 0, 2)).act is Act.NOTHING


def test_what_an_earlier_devloop_left_counts_as_ended_with_the_app() -> None:
    step = attach.decide(raw(ENDED, ENDED), "app", History())
    assert (step.act, step.number, step.history.failures) == (Act.ADD, 3, 0)


def test_an_agent_that_does_not_stay_is_given_up_with_its_reason() -> None:
    had, there = History("id-1", 0, 1), [ENDED]
    for failures in range(1, attach.TRIES):
        step = attach.decide(raw(*there), "app", had)
        assert (step.act, step.history.failures) == (Act.ADD, failures)
        there = [*there, ENDED]
        had = History("id-1", failures, len(there))
    step = attach.decide(raw(*there), "app", had)
    assert (step.act, step.why) == (Act.GIVE_UP, "Error: exit 137")
    # a new run of the app is a new chance
    assert attach.decide(raw(*there, run="id-2"), "app", had).act is Act.ADD


@pytest.mark.parametrize("how", [{"terminating": True}, {"app": {"waiting": {"reason": "CrashLoopBackOff"}}}])
def test_without_a_running_app_there_is_nothing_to_join(how: dict[str, Any]) -> None:
    assert attach.decide(raw(**how), "app", History()).act is Act.NOTHING


def test_a_pod_has_room_for_so_many() -> None:
    full = raw(*[ENDED] * attach.MOST)
    step = attach.decide(copy.deepcopy(full), "app", History())
    assert (step.act, "50 agents" in step.why) == (Act.GIVE_UP, True)
