from __future__ import annotations

from typing import Any

import pytest

from devloop.podspec import identity, outcome
from tests.unit.podspec import cases

TWO = cases.pod({"name": "app"}, {"name": "proxy"}, initContainers=[{"name": "setup"}])


def test_the_only_container_needs_no_name() -> None:
    assert identity.container(cases.pod(), "") == 0


def test_a_container_by_name() -> None:
    assert identity.container(TWO, "proxy") == 1


@pytest.mark.parametrize(
    ("wanted", "words", "hint"),
    [
        ("", "2 containers: app, proxy", "container: app"),
        ("porxy", "porxy is not in the pod", "did you mean proxy?"),
        ("zzz", "zzz is not in the pod", "it has app, proxy"),
        ("setup", "an init container", "app, proxy"),
    ],
)
def test_a_question_in_place_of_a_guess(wanted: str, words: str, hint: str) -> None:
    with pytest.raises(outcome.Refused) as refused:
        identity.container(TWO, wanted)
    assert words in refused.value.refusal.message and hint in refused.value.refusal.hint
    assert refused.value.refusal.code == "DL0802"


@pytest.mark.parametrize(
    ("own", "whole", "run_as", "found"),
    [
        ({"runAsUser": 1, "runAsGroup": 2}, {"runAsUser": 3, "runAsGroup": 4}, (5, 6), (1, 2)),
        ({"runAsUser": 0}, {"runAsUser": 3, "runAsGroup": 4}, (None, None), (0, 4)),
        ({}, {"runAsUser": 3}, (5, 6), (3, None)),
        ({}, {"runAsUser": 5}, (5, 6), (5, 6)),
        (None, None, (5, 6), (5, 6)),
        (None, {"runAsGroup": 4}, (5, None), (5, 4)),
    ],
)
def test_the_container_goes_before_the_pod_and_that_before_run_as(
    own: Any, whole: Any, run_as: tuple[int | None, int | None], found: tuple[int, int | None]
) -> None:
    pod = cases.pod({"name": "app", "securityContext": own}, securityContext=whole)
    assert identity.user(pod, 0, *run_as) == identity.User(*found)


def test_nobody_says() -> None:
    with pytest.raises(outcome.Refused) as refused:
        identity.user(cases.pod({"name": "app"}), 0, None, None)
    assert "run_as" in refused.value.refusal.hint and refused.value.refusal.code == "DL0803"


@pytest.mark.parametrize("value", ["1000", -1, 2**31, True, 1.5])
def test_what_is_no_user(value: object) -> None:
    pod = cases.pod({"name": "app", "securityContext": {"runAsUser": value}})
    with pytest.raises(outcome.Refused) as refused:
        identity.user(pod, 0, 1000, None)
    assert refused.value.refusal.at[-1] == "runAsUser"


@pytest.mark.parametrize(
    "spec", [{"volumes": [{"name": "devloop-key"}]}, {"initContainers": [{"name": "devloop-agent"}]}]
)
def test_names_of_ours_are_taken(spec: dict[str, Any]) -> None:
    with pytest.raises(outcome.Refused):
        identity.is_clear(cases.pod(**spec))
    identity.is_clear(cases.pod(volumes=[{"name": "devlooped"}]))
