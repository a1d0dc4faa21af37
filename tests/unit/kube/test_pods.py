"""What is read from a pod, whatever is missing in it, and which of several serves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.kube import pods
from devloop.kube.pods import Phase

RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
PULLING: dict[str, Any] = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}


def raw(
    name: str = "web-5d-x",
    *,
    agent: dict[str, Any] | None = RUNNING,
    rung: str = "initContainers",
    app: dict[str, Any] = RUNNING,
    ready: bool = True,
    terminating: bool = False,
    created: str = "2026-01-01T00:00:00Z",
) -> dict[str, Any]:
    """Return a pod as the server sends it; `agent` is the state of its agent, None for a pod without one."""
    statuses = {
        "initContainers": "initContainerStatuses",
        "containers": "containerStatuses",
        "ephemeralContainers": "ephemeralContainerStatuses",
    }[rung]
    found: dict[str, Any] = {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": created,
            "labels": {"app": "web", "pod-template-hash": "5d"},
            "ownerReferences": [
                {"kind": "Other", "name": "not-it"},
                {"kind": "ReplicaSet", "name": "web-5d", "controller": True},
            ],
        },
        "spec": {"containers": [{"name": "app"}], "initContainers": [{"name": "migrate"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"name": "app", "state": app, "ready": ready, "restartCount": 2}],
        },
    }
    if terminating:
        found["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    if agent is not None:
        status = {"name": "devloop-agent", "state": agent, "containerID": "containerd://1"}
        found["spec"].setdefault(rung, []).append({"name": "devloop-agent"})
        found["status"].setdefault(statuses, []).append(status)
    return found


def view(**how: Any) -> pods.Pod:
    return pods.view(raw(**how))


def test_a_pod_with_a_running_agent() -> None:
    pod = view()
    assert (pod.name, pod.uid, pod.revision, pod.owner) == (
        "web-5d-x",
        "uid-web-5d-x",
        "5d",
        pods.Owner("ReplicaSet", "web-5d"),
    )
    assert pod.is_usable and pod.ready and not pod.terminating
    assert pod.agent.container_id == "containerd://1"
    assert [(each.name, each.phase, each.restarts) for each in pod.containers] == [("app", Phase.RUNNING, 2)]
    assert pod.state == "ready"


@pytest.mark.parametrize("rung", ["initContainers", "containers", "ephemeralContainers"])
def test_the_agent_is_found_on_every_rung_and_is_not_the_app(rung: str) -> None:
    pod = view(rung=rung)
    assert pod.agent.phase is Phase.RUNNING
    assert [each.name for each in pod.containers] == ["app"]


@pytest.mark.parametrize(
    ("how", "state", "usable"),
    [
        ({"agent": None}, "no agent in it", False),
        ({"agent": PULLING}, "the agent waits: ImagePullBackOff: no such image", False),
        ({"agent": {}}, "the agent waits: not started yet", False),
        ({"agent": {"terminated": {"reason": "Error", "exitCode": 3}}}, "the agent ended: Error: exit 3", False),
        ({"terminating": True}, "terminating", False),
        ({"ready": False}, "not ready", True),
        ({"app": {"waiting": {"reason": "CrashLoopBackOff"}}, "ready": False}, "app CrashLoopBackOff", True),
    ],
)
def test_the_state_in_words_and_whether_a_link_can_be_opened(how: dict[str, Any], state: str, usable: bool) -> None:
    pod = view(**how)
    assert (pod.state, pod.is_usable) == (state, usable)


def test_an_init_container_that_fails_is_why_the_agent_waits() -> None:
    made = raw(agent={"waiting": {"reason": "PodInitializing"}})
    said = {"exitCode": 1, "message": "devloop: seed: no space\n", "reason": "Error"}
    made["status"]["initContainerStatuses"] = [
        {"name": "done", "ready": True, "state": {"terminated": {"exitCode": 0}}},
        {
            "name": "devloop-seed",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": said},
        },
        {"name": "devloop-agent", "state": {"waiting": {"reason": "PodInitializing"}}},
    ]
    expected = "the agent waits: init container devloop-seed: devloop: seed: no space: exit 1"
    assert pods.view(made).state == expected


def test_of_several_attached_agents_the_one_that_runs_counts() -> None:
    made = raw(agent=None)
    made["spec"]["ephemeralContainers"] = [{"name": f"devloop-agent-{number}"} for number in range(3)]
    made["status"]["ephemeralContainerStatuses"] = [
        {"name": "devloop-agent-0", "state": {"terminated": {"exitCode": 137}}},
        {"name": "devloop-agent-1", "state": RUNNING},
    ]
    assert pods.view(made).agent.name == "devloop-agent-1"
    del made["status"]["ephemeralContainerStatuses"][1]
    assert pods.view(made).agent == pods.Container("devloop-agent-2", Phase.WAITING)


def test_the_newest_of_several_counts_whatever_the_order_that_they_are_listed_in() -> None:
    made = raw(agent=None)
    # as the API server lists what was added by strategic merge patches
    made["spec"]["ephemeralContainers"] = [{"name": f"devloop-agent-{number}"} for number in (10, 9, 1)]
    ended = {"terminated": {"exitCode": 137}}
    made["status"]["ephemeralContainerStatuses"] = [
        {"name": f"devloop-agent-{number}", "state": ended} for number in (9, 1)
    ]
    assert pods.view(made).agent == pods.Container("devloop-agent-10", Phase.WAITING)
    made["status"]["ephemeralContainerStatuses"].append({"name": "devloop-agent-10", "state": ended})
    assert pods.view(made).agent.name == "devloop-agent-10"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("devloop-agent-12", 12),
        ("devloop-agent", 0),
        ("devloop-agent-", 0),
        ("devloop-agent-x", 0),
        ("app-3", 0),
        ("7", 0),
    ],
)
def test_attached_agents_are_numbered(name: str, number: int) -> None:
    assert pods.agent_number(name) == number


def test_an_attached_agent_whose_image_does_not_come_is_blocked_until_another_runs() -> None:
    made = raw(agent=PULLING, rung="ephemeralContainers")
    assert pods.view(made).blocked == "devloop-agent: ImagePullBackOff: no such image"
    # it stays in the pod for good
    made["spec"]["ephemeralContainers"].insert(0, {"name": "devloop-agent-2"})
    made["status"]["ephemeralContainerStatuses"].append({"name": "devloop-agent-2", "state": RUNNING})
    assert pods.view(made).blocked == ""


@pytest.mark.parametrize(("restarts", "stranded"), [(0, False), (1, True)])
def test_an_agent_that_ended_again_may_not_come_back_by_itself(restarts: int, stranded: bool) -> None:
    made = raw(agent={"terminated": {"reason": "Error", "exitCode": 1}}, rung="containers")
    (status,) = [each for each in made["status"]["containerStatuses"] if each["name"] == pods.AGENT]
    status["restartCount"] = restarts
    assert pods.view(made).is_stranded is stranded


def test_a_pod_that_is_not_scheduled_says_why() -> None:
    made = raw(agent={})
    made["status"] = {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
        ],
    }
    assert pods.view(made).detail == "Unschedulable: 0/3 nodes are available"


def test_the_newest_ready_pod_serves_and_a_ready_one_before_a_newer_that_is_not() -> None:
    old, new = view(name="old", created="2026-01-01T00:00:00Z"), view(name="new", created="2026-01-02T00:00:00Z")
    starting = view(name="starting", created="2026-01-03T00:00:00Z", ready=False)
    without = view(name="without", created="2026-01-04T00:00:00Z", agent=None)
    assert pods.choose([new, old, starting, without]) == new
    assert pods.choose([starting, without]) == starting
    assert pods.choose([without]) is None
    assert pods.choose([]) is None


def test_a_command_needs_no_agent_but_a_container_that_runs() -> None:
    def made(name: str, created: str, phase: pods.Phase, *, agent: bool = False, ready: bool = True) -> pods.Pod:
        app = pods.Container("app", phase)
        its = pods.Container(pods.AGENT, pods.Phase.RUNNING if agent else pods.Phase.ABSENT)
        return pods.Pod(name, name, created, "", None, "Running", "", ready, False, its, (app,))

    old = made("old", "1", pods.Phase.RUNNING)
    new = made("new", "2", pods.Phase.RUNNING)
    crashed = made("crashed", "3", pods.Phase.WAITING, agent=True)
    unready = made("unready", "4", pods.Phase.RUNNING, ready=False)
    ours = made("ours", "0", pods.Phase.RUNNING, agent=True)
    assert pods.choose_for([old, new, crashed, unready], "") == new
    assert pods.choose_for([old, new, crashed, ours], "app") == ours
    assert pods.choose_for([old, crashed], pods.AGENT) == crashed
    assert pods.choose_for([crashed], "") == crashed
    gone = msgspec.structs.replace(new, terminating=True)
    assert pods.choose_for([gone, msgspec.structs.replace(new, phase="Failed")], "") is None


def test_which_container_is_the_apps() -> None:
    one = pods.view(raw("a"))
    assert pods.app_of(one, "") == one.containers[0].name
    with pytest.raises(errors.UsageError, match="no container nope"):
        pods.app_of(one, "nope")


def test_what_is_stuck_waits_for_somebody() -> None:
    assert pods.is_stuck(pods.container("a", [{"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]))
    assert not pods.is_stuck(pods.container("a", [{"name": "a", "state": {"waiting": {"reason": "PodInitializing"}}}]))
    assert pods.container("a", []).phase is pods.Phase.WAITING


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "state", "running", "containers", "metadata", "labels"]), inner)
    ),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "metadata": JSON,
            "spec": st.dictionaries(st.sampled_from(["containers", "initContainers"]), JSON),
            "status": st.dictionaries(st.sampled_from(["conditions", "containerStatuses", "phase"]), JSON),
        },
    )
)
def test_a_damaged_pod_is_no_exception_and_not_usable(made: dict[str, Any]) -> None:
    assert not pods.view(made).is_usable


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def blocked_by(kind: str, name: str, state: dict[str, Any], last: dict[str, Any] | None = None) -> pods.Pod:
    """A pod whose agent waits for its turn while another container is in this state."""
    found = raw(agent=waiting("PodInitializing"), rung="containers")
    told = {"name": name, "state": state, "lastState": last or {}}
    found["status"].setdefault(kind, []).append(told)
    return pods.view(found)


@pytest.mark.parametrize(
    ("kind", "name", "state", "state_told"),
    [
        (
            "initContainerStatuses",
            "devloop-seed",
            waiting("ErrImagePull", "no such host"),
            "the agent waits: devloop-seed: ErrImagePull: no such host",
        ),
        ("initContainerStatuses", "wait-for-db", waiting("PodInitializing"), "the agent waits: PodInitializing"),
        # The app's own trouble is not in the agent's way: a fix may be pushed into it.
        ("containerStatuses", "other", waiting("ErrImagePull", "x"), "the agent waits: PodInitializing"),
    ],
)
def test_what_is_in_the_agents_way_is_named(kind: str, name: str, state: dict[str, Any], state_told: str) -> None:
    pod = blocked_by(kind, name, state)
    assert pod.state == state_told
    assert bool(pod.blocked) is (name == "devloop-seed")


def test_an_init_container_that_fails_again_and_again_is_in_the_way() -> None:
    last = {"terminated": {"exitCode": 3}}
    pod = blocked_by("initContainerStatuses", "devloop-seed", waiting("CrashLoopBackOff", "back-off 5m0s"), last)
    assert pod.blocked == "devloop-seed: CrashLoopBackOff: exit 3"


def test_a_pod_that_no_node_takes_is_stranded_and_says_why() -> None:
    found = raw(agent={})
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    found["status"] = {"phase": "Pending", "conditions": [condition]}
    pod = pods.view(found)
    assert pod.is_stranded and not pod.blocked
    assert pod.state == "the agent waits: Unschedulable: 0/1 nodes"


def test_an_agent_that_crashes_is_stranded_and_an_app_that_does_is_not() -> None:
    assert view(agent=waiting("CrashLoopBackOff")).is_stranded
    assert not view(app=waiting("CrashLoopBackOff")).is_stranded
    assert not view(agent=None).is_stranded


def crashing(message: str = "", name: str = "app") -> dict[str, Any]:
    """Return a status of the kubelet for a container that ends again and again."""
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container=x"}}
    last = {"terminated": {"reason": "Error", "exitCode": 1, "message": message}}
    return {"name": name, "state": state, "lastState": last}


def test_what_ends_again_and_again_is_told_by_its_last_words_and_not_by_how_long_it_waits() -> None:
    found = raw()
    found["status"]["containerStatuses"] = [crashing("a\n\nValueError: 'x'\n")]
    pod = pods.view(found)
    assert pod.state == "app CrashLoopBackOff: exit 1: ValueError: 'x'"
    assert pod.crashing is not None and pod.crashing.name == "app"
    assert view().crashing is None


def test_of_the_agents_last_words_the_error_is_told() -> None:
    found = raw(rung="containers")
    said = '{"error": {}}\nerror[DL0606]: cannot listen\nhint: let it use another one\n'
    found["status"]["containerStatuses"] = [crashing(said, pods.AGENT)]
    pod = pods.view(found)
    assert pod.state == "the agent waits: CrashLoopBackOff: exit 1: error[DL0606]: cannot listen"
    assert pod.is_stranded


def test_every_container_is_told_in_the_order_in_which_they_start() -> None:
    raw = {
        "spec": {
            "containers": [{"name": "app"}, {"name": "devloop-agent"}],
            "initContainers": [{"name": "setup"}],
            "ephemeralContainers": [{"name": "debug"}],
        },
        "status": {"initContainerStatuses": [{"name": "setup", "restartCount": 2, "containerID": "c://1"}]},
    }
    found = pods.every_container(raw)
    assert list(found) == ["setup", "app", "devloop-agent", "debug"]
    assert (found["setup"].restarts, found["setup"].container_id) == (2, "c://1")
    assert found["debug"].phase is pods.Phase.WAITING and pods.every_container({}) == {}
