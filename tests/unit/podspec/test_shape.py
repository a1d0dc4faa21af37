from __future__ import annotations

from typing import Any

import pytest

from devloop.podspec import inject, outcome, shape
from tests.unit.podspec import cases


def refusal(pod: dict[str, Any]) -> outcome.Refusal:
    with pytest.raises(outcome.Refused) as refused:
        shape.check(pod)
    return refused.value.refusal


@pytest.mark.parametrize(
    ("pod", "words", "at"),
    [
        ({}, "no spec", ()),
        ({"spec": None}, "no spec", ("spec",)),
        ({"spec": []}, "no spec", ("spec",)),
        ({"metadata": [], "spec": {}}, "metadata is not a mapping", ("metadata",)),
        ({"metadata": {"annotations": "x"}, "spec": {}}, "annotations", ("metadata", "annotations")),
        ({"spec": {}}, "no containers", ("spec",)),
        ({"spec": {"containers": {}}}, "containers is not a list", ("spec", "containers")),
        ({"spec": {"containers": ["app"]}}, "not a mapping", ("spec", "containers", 0)),
        ({"spec": {"containers": [{"image": "x"}]}}, "no name", ("spec", "containers", 0)),
        (cases.pod(securityContext="x"), "securityContext", ("spec", "securityContext")),
        (cases.pod(volumes="x"), "volumes is not a list", ("spec", "volumes")),
        (cases.pod(volumes=[{}]), "volumes has no name", ("spec", "volumes", 0)),
        (cases.pod(initContainers=[None]), "not a mapping", ("spec", "initContainers", 0)),
        (
            cases.pod({"name": "a", "securityContext": 1}),
            "securityContext",
            ("spec", "containers", 0, "securityContext"),
        ),
        (cases.pod({"name": "a", "command": "x y"}), "command is not a list", ("spec", "containers", 0, "command")),
        (cases.pod({"name": "a", "args": [1]}), "args is not a list of words", ("spec", "containers", 0, "args")),
        (cases.pod({"name": "a", "image": 5}), "image is not text", ("spec", "containers", 0, "image")),
        (cases.pod({"name": "a", "env": {"A": "b"}}), "env is not a list", ("spec", "containers", 0, "env")),
        (
            cases.pod({"name": "a", "volumeMounts": [{"name": "x"}]}),
            "no mountPath",
            ("spec", "containers", 0, "volumeMounts", 0),
        ),
        (cases.pod({"name": "a", "ports": [80]}), "not a mapping", ("spec", "containers", 0, "ports", 0)),
    ],
)
def test_what_is_no_pod(pod: dict[str, Any], words: str, at: tuple[str | int, ...]) -> None:
    found = refusal(pod)
    assert words in found.message
    assert (found.code, found.at) == ("DL0801", at)
    assert inject.inject(pod, cases.service(), cases.platform()).refusals == (found,)
    assert inject.uninject(pod).refusals == (found,)


def test_nulls_count_as_not_written() -> None:
    shape.check({"metadata": None, "spec": {"containers": [{"name": "a", "env": None, "args": None}], "volumes": None}})
