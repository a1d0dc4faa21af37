from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop.podspec import inject, names, request
from tests.unit.podspec import cases
from tests.unit.podspec.generated import pods, services

GOOD = [name for name in cases.NAMES if not cases.Case(name).outcome().refusals]


@pytest.mark.parametrize("name", cases.NAMES)
def test_golden(name: str) -> None:
    case = cases.Case(name)
    assert case.shown() == case.golden()


def test_there_are_goldens_of_both_kinds() -> None:
    assert len(GOOD) >= 10
    assert len(cases.NAMES) - len(GOOD) >= 5


@pytest.mark.parametrize("name", cases.NAMES)
def test_the_given_pod_is_never_changed(name: str) -> None:
    case = cases.Case(name)
    before = copy.deepcopy(case.pod)
    made = case.outcome()
    assert case.pod == before
    assert not made.refusals or made.pod == before


@pytest.mark.parametrize("name", GOOD)
def test_twice_is_once_and_back_is_the_original(name: str) -> None:
    case = cases.Case(name)
    once = case.outcome().pod
    assert inject.inject(once, case.service, case.platform).pod == once
    assert inject.uninject(once).pod == case.pod


@settings(max_examples=120, deadline=None)
@given(pods, services, services, st.sampled_from(["1.20", "1.29"]))
def test_any_pod_comes_back_and_injecting_again_is_injecting_once(
    pod: dict[str, Any], service: request.Service, other: request.Service, version: str
) -> None:
    platform = cases.platform(version)
    once = inject.inject(pod, service, platform)
    if once.refusals:
        return
    assert inject.inject(once.pod, service, platform) == once
    assert inject.uninject(once.pod).pod == pod
    assert inject.inject(once.pod, other, platform).pod in (inject.inject(pod, other, platform).pod, once.pod)


@settings(max_examples=60, deadline=None)
@given(pods, services)
def test_what_is_added_asks_for_no_privilege(pod: dict[str, Any], service: request.Service) -> None:
    made = inject.inject(pod, service, cases.platform())
    if made.refusals:
        return
    spec = made.pod["spec"]
    ours = [each for key in ("containers", "initContainers") for each in spec[key] if names.is_ours(each["name"])]
    assert [each["name"] for each in ours][:1] == ["devloop-tools"]
    for container in ours:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert security["readOnlyRootFilesystem"] is True
        assert security.get("runAsNonRoot") is True or security["runAsUser"] == 0
        masked = [each["name"] for each in container["volumeMounts"] if each["mountPath"] == names.TOKEN_AT]
        assert masked == [names.TOOLS]
    forbidden = {"hostPID", "hostIPC", "hostNetwork", "shareProcessNamespace"}
    assert forbidden.isdisjoint(set(spec) - set(pod["spec"]))
    added = [volume for volume in spec["volumes"] if names.is_ours(volume["name"])]
    assert all(set(volume) <= {"name", "emptyDir", "persistentVolumeClaim"} for volume in added)


@settings(max_examples=60, deadline=None)
@given(pods, services)
def test_only_the_agent_mounts_the_key(pod: dict[str, Any], service: request.Service) -> None:
    spec = inject.inject(pod, service, cases.platform()).pod["spec"]
    everyone = [*spec["containers"], *(spec.get("initContainers") or [])]
    holders = [
        each["name"] for each in everyone if names.KEY in [mount["name"] for mount in each.get("volumeMounts") or []]
    ]
    assert set(holders) <= {names.AGENT}


def test_a_pod_that_changed_since_is_injected_as_if_it_were_new() -> None:
    service, platform = cases.service(supervise=True), cases.platform()
    injected = inject.inject(cases.pod(), service, platform).pod
    injected["spec"]["containers"][0] |= {"image": "app:2", "command": ["other"], "args": ["x"]}
    changed = cases.pod()
    changed["spec"]["containers"][0] |= {"image": "app:2", "command": ["other"], "args": ["x"]}
    assert inject.inject(injected, service, platform) == inject.inject(changed, service, platform)


def test_what_others_added_since_stays() -> None:
    injected = inject.inject(cases.pod(), cases.service(), cases.platform()).pod
    injected["metadata"]["annotations"]["theirs"] = "x"
    injected["spec"]["volumes"].append({"name": "theirs", "emptyDir": {}})
    injected["spec"]["containers"][0]["env"] = [{"name": "THEIRS", "value": "x"}]
    back = inject.uninject(injected).pod
    assert back["metadata"] == {"annotations": {"theirs": "x"}}
    assert back["spec"]["volumes"] == [{"name": "theirs", "emptyDir": {}}]
    assert back["spec"]["containers"][0]["env"] == [{"name": "THEIRS", "value": "x"}]


def test_a_container_that_was_renamed_since_comes_back_too() -> None:
    injected = inject.inject(cases.pod(), cases.service(supervise=True), cases.platform()).pod
    injected["spec"]["containers"][0]["name"] = "renamed"
    expected = cases.pod()
    expected["spec"]["containers"][0]["name"] = "renamed"
    assert inject.uninject(injected).pod == expected


def test_uninject_leaves_a_foreign_pod_as_it_is() -> None:
    assert inject.uninject(cases.pod()).pod == cases.pod()


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"version": 2}', 7])
def test_an_annotation_that_cannot_be_read_is_refused(text: object) -> None:
    broken = {"metadata": {"annotations": {names.ANNOTATION: text}}, **cases.pod()}
    for made in (inject.uninject(broken), inject.inject(broken, cases.service(), cases.platform())):
        (refusal,) = made.refusals
        assert refusal.code == "DL0804" and made.pod == broken
    assert inject.is_injected(broken)


def test_a_record_of_another_version_is_refused() -> None:
    injected = inject.inject(cases.pod(), cases.service(), cases.platform()).pod
    annotations = injected["metadata"]["annotations"]
    annotations[names.ANNOTATION] = json.dumps({**json.loads(annotations[names.ANNOTATION]), "version": 2})
    (refusal,) = inject.uninject(injected).refusals
    assert "version 2" in refusal.message


def test_a_lost_annotation_is_refused() -> None:
    injected = inject.inject(cases.pod(), cases.service(), cases.platform()).pod
    del injected["metadata"]
    (refusal,) = inject.inject(injected, cases.service(), cases.platform()).refusals
    assert refusal.code == "DL0804" and "devloop-" in refusal.message


@pytest.mark.parametrize(
    ("pod", "injected"),
    [(None, False), ({}, False), ({"metadata": None}, False), ({"metadata": {"annotations": {}}}, False)],
)
def test_is_injected(pod: Any, injected: bool) -> None:
    assert inject.is_injected(pod) is injected


def test_notes_say_what_was_changed() -> None:
    made = inject.inject(cases.pod(), cases.service(supervise=True, user=5), cases.platform("1.28"))
    told = " / ".join(made.notes)
    for word in ("/app is a volume of its own", "launcher", "beside the app", "user 1000", "run_as says 5"):
        assert word in told
    assert made.roots[0].data == "/devloop/sync-0/data"
    assert made.container == "app"
