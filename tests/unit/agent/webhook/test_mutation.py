from __future__ import annotations

from typing import Any

import pytest

from agent.webhook import mutation, review
from devloop.podspec import devsession, request
from tests.unit.agent.webhook import objects
from tests.unit.agent.webhook.test_jsonpatch import applied

CHART = mutation.Chart("agent:1", request.KubeVersion(1, 20))


def sessions(*raw: dict[str, Any]) -> list[devsession.Session]:
    return [devsession.read(each) for each in raw]


def made(pod: dict[str, Any], answer: review.Answer) -> dict[str, Any]:
    changed: dict[str, Any] = applied(pod, list(answer.patch))
    return changed


@pytest.mark.parametrize(
    ("kind", "workload", "owner", "meant"),
    [
        ("Deployment", "web", ("ReplicaSet", "web-5d4f"), True),
        ("Rollout", "web", ("ReplicaSet", "web-5d4f"), True),
        ("Deployment", "web", ("ReplicaSet", "web-other-5d4f"), False),
        ("Deployment", "web", ("StatefulSet", "web"), False),
        ("StatefulSet", "web", ("StatefulSet", "web"), True),
        ("DaemonSet", "web", ("StatefulSet", "web"), False),
        ("Job", "web", ("Job", "web"), False),
        ("Deployment", "web", None, False),
    ],
)
def test_a_session_means_the_pods_of_its_workload(
    kind: str, workload: str, owner: tuple[str, str] | None, meant: bool
) -> None:
    found = mutation.session_for(objects.pod(owner), sessions(objects.session(kind=kind, named=workload)))
    assert (found is not None) is meant


def test_a_session_that_nobody_vouches_for_means_no_pod() -> None:
    assert mutation.session_for(objects.pod(), sessions(objects.session(author={}))) is None


def test_of_several_the_first_by_name_counts() -> None:
    found = mutation.session_for(objects.pod(), sessions(objects.session("b"), objects.session("a")))
    assert found is not None and found.name == "a"


def test_pods_that_are_not_ours_to_touch() -> None:
    assert mutation.skip(objects.pod(owner=None))
    assert mutation.skip(objects.pod(annotations={"devloop.dev/injected": "{}"}))
    declared = objects.pod()
    declared["spec"]["containers"].append({"name": "devloop-agent", "image": "x"})
    assert mutation.skip(declared)
    assert not mutation.skip(objects.pod())


def test_the_pod_gets_the_charts_agent_and_the_sessions_marks() -> None:
    pod = objects.pod()
    (session,) = sessions(objects.session(supervise=True))
    changed = made(pod, mutation.decide(pod, session, objects.workload(), CHART))
    agent = next(each for each in changed["spec"]["containers"] if each["name"] == "devloop-agent")
    assert agent["image"] == "agent:1"
    meta = changed["metadata"]
    assert meta["labels"] == {**pod["metadata"]["labels"], "devloop.dev/session": objects.SESSION_UID}
    assert meta["annotations"]["devloop.dev/session-seen"] == f"{objects.SESSION_UID}/2"
    assert "devloop.dev/not-injected" not in meta["annotations"]


def test_nothing_that_a_session_says_makes_a_container_privileged() -> None:
    wish: dict[str, Any] = {
        "image": "evil",
        "privileged": True,
        "securityContext": {"privileged": True},
        "agentImage": "evil",
    }
    pod = objects.pod()
    (session,) = sessions(objects.session(**wish))
    changed = made(pod, mutation.decide(pod, session, objects.workload(), CHART))
    assert "evil" not in str(changed) and "'privileged': True" not in str(changed)
    ours = [each for each in changed["spec"]["containers"] + changed["spec"]["initContainers"] if each["name"] != "app"]
    for each in ours:
        context = each["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]} and context["allowPrivilegeEscalation"] is False


def test_volumes_of_a_stateful_set_are_known() -> None:
    pod = objects.pod(("StatefulSet", "web"))
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/app"}]
    (session,) = sessions(objects.session(kind="StatefulSet"))
    workload = objects.workload(volumeClaimTemplates=[{"metadata": {"name": "data"}}])
    changed = made(pod, mutation.decide(pod, session, workload, CHART))
    assert any(each["name"] == "devloop-agent" for each in changed["spec"]["containers"])


@pytest.mark.parametrize(
    ("spec", "workload", "why"),
    [
        ({"container": "nope"}, objects.workload(), "the container nope is not in the pod"),
        ({}, objects.workload(selector={"matchLabels": {"app": "other"}}), "does not select its labels"),
        ({}, {}, "does not select its labels"),
    ],
)
def test_a_pod_that_cannot_be_injected_goes_as_it_is_and_says_why(
    spec: dict[str, Any], workload: dict[str, Any], why: str
) -> None:
    pod = objects.pod(annotations={"a": "b"})
    (session,) = sessions(objects.session(**spec))
    answer = mutation.decide(pod, session, workload, CHART)
    changed = made(pod, answer)
    assert not answer.refusal and why in answer.warnings[0]
    assert why in changed["metadata"]["annotations"].pop("devloop.dev/not-injected")
    assert changed["metadata"]["annotations"].pop("devloop.dev/session-seen") == session.mark
    assert changed == pod
