"""A container's variables from its spec: order, optional parts, what is said to be unknown, what is secret."""

from __future__ import annotations

from typing import Any

import pytest

from devloop.shell import podenv

POD: dict[str, Any] = {
    "metadata": {"name": "web-1", "namespace": "dev", "uid": "u", "labels": {"a/b": "c"}},
    "spec": {"nodeName": "n", "serviceAccountName": "sa", "containers": []},
    "status": {"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}, {"ip": "fd::9"}], "hostIP": "10.0.0.1"},
}
SOURCES: dict[tuple[str, str], podenv.Source] = {
    ("ConfigMap", "conf"): podenv.Source({"A": "map", "1x": "odd", "a b": "odder"}),
    ("ConfigMap", "more"): podenv.Source({"A": "later"}),
    ("Secret", "sec"): podenv.Source({"PW": "hunter2"}),
    ("Secret", "closed"): podenv.Source(why="you may not get secrets"),
}


def env(*listed: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {"name": "app", "env": list(listed), **changed}


def made(container: dict[str, Any], *, relaxed: bool = True, **services: str) -> podenv.Made:
    return podenv.make(POD, container, SOURCES, services, relaxed=relaxed)


def ref(kind: str, name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {kind: {"name": name, "key": key, **more}}}


def field(path: str) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


def test_later_ones_win_and_see_earlier_ones() -> None:
    container = env(
        {"name": "B", "value": "$(A)-$(SVC)-$(LATER)"},
        {"name": "LATER", "value": "x"},
        {"name": "A", "value": "own"},
        {"name": "C", "value": "$(A)$(LATER)"},
        {"name": "EMPTY"},
        envFrom=[
            {"configMapRef": {"name": "conf"}},
            {"prefix": "P_", "configMapRef": {"name": "more"}},
            {"configMapRef": {"name": "more"}},
        ],
    )
    found = made(container, SVC="10.1", A="service")
    assert found.env == {
        "1x": "odd", "a b": "odder", "P_A": "later", "B": "later-10.1-$(LATER)", "LATER": "x", "A": "own",
        "C": "ownx", "EMPTY": "",
    }  # fmt: skip
    assert not found.unknown and not found.secret and "SVC" not in found.env


def test_a_value_goes_before_a_source_and_old_clusters_skip_odd_names() -> None:
    container = env(
        {**ref("secretKeyRef", "closed", "k"), "value": "said"}, envFrom=[{"configMapRef": {"name": "conf"}}]
    )
    assert made(container, relaxed=False).env == {"A": "map", "X": "said"}
    assert podenv.wanted(container) == [("ConfigMap", "conf")]


@pytest.mark.parametrize(
    ("one", "value"),
    [
        (ref("configMapKeyRef", "conf", "A"), "map"),
        (ref("secretKeyRef", "sec", "PW"), "hunter2"),
        (ref("configMapKeyRef", "conf", "no", optional=True), None),
        (ref("configMapKeyRef", "none", "no", optional=True), None),
        (field("metadata.name"), "web-1"),
        (field("metadata.labels['a/b']"), "c"),
        (field("metadata.annotations['x']"), ""),
        (field("status.podIPs"), "10.0.0.9,fd::9"),
        (field("status.hostIPs"), "10.0.0.1"),
        (field("spec.serviceAccountName"), "sa"),
    ],
)  # fmt: skip
def test_sources(one: dict[str, Any], value: str | None) -> None:
    found = made(env(one))
    assert found.env == ({} if value is None else {"X": value}) and not found.unknown
    assert found.secret == (frozenset("X") if value == "hunter2" else frozenset())


@pytest.mark.parametrize(
    ("one", "words", "forbidden"),
    [
        (ref("configMapKeyRef", "conf", "no"), "X: ConfigMap conf has no key no", False),
        (ref("secretKeyRef", "none", "no"), "X: there is no Secret none", False),
        (ref("secretKeyRef", "closed", "no", optional=True), "X: you may not get secrets", True),
        (field("status.phase"), "X: the pod does not tell status.phase", False),
        ({"name": "X", "valueFrom": {"fileKeyRef": {}}}, "X: devloop does not know fileKeyRef", False),
        ({"name": "X", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
         "X: app has no limit of cpu", False),
    ],
)  # fmt: skip
def test_what_is_not_known_is_named(one: dict[str, Any], words: str, forbidden: bool) -> None:
    found = made(env(one, {"name": "Y", "value": "$(X)"}))
    assert found.unknown[0].startswith(words) and found.forbidden is forbidden and "X" not in found.env
    assert found.unknown[1] == "Y: refers to X"


def test_a_closed_secret_is_named_whole_and_so_is_what_may_come_from_it() -> None:
    found = made(env({"name": "U", "value": "$(PW)"}, envFrom=[{"secretRef": {"name": "closed"}}]))
    assert found.unknown == ("all of Secret closed: you may not get secrets", "U: refers to PW") and found.forbidden


def test_what_refers_to_a_secret_is_one() -> None:
    container = env(
        {"name": "URL", "value": "pg://$(PW)@h"},
        {"name": "PW", "value": "plain"},
        envFrom=[{"secretRef": {"name": "sec"}}],
    )
    found = made(container)
    assert found.env["URL"] == "pg://hunter2@h" and found.secret == {"URL"}


def test_resources_are_in_their_divisor() -> None:
    one = {"name": "X", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}
    two = {"name": "Y", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}}
    assert made(env(one, two, resources={"limits": {"memory": "64Mi"}})).env == {"X": "64", "Y": "0"}
