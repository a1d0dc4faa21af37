from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from devloop.podspec import edit, names, record
from tests.unit.podspec import cases


def changed(pod: dict[str, Any], *changes: str) -> tuple[dict[str, Any], record.Record]:
    made = copy.deepcopy(pod)
    edits = edit.Edits(made, 0)
    do: dict[str, Callable[[], object]] = {
        "set": lambda: edits.set("image", "new"),
        "same": lambda: edits.set("image", "app:1"),
        "drop": lambda: edits.drop("image"),
        "env": lambda: edits.set_env("A", "1"),
        "mount": lambda: edits.mount([{"name": names.TOOLS, "mountPath": "/x"}]),
        "volume": lambda: edits.extend("volumes", [{"name": names.TOOLS, "emptyDir": {}}]),
    }
    for change in changes:
        do[change]()
    edits.annotate(record.Record("web", "app", ("/app",), False))
    told = record.read(made)
    assert told is not None
    return made, told


@pytest.mark.parametrize("changes", [("set",), ("drop",), ("env",), ("mount",), ("volume",), ("set", "env", "volume")])
def test_every_change_is_undone(changes: tuple[str, ...]) -> None:
    pod = cases.pod()
    made, told = changed(pod, *changes)
    assert made != pod
    edit.undo(made, told)
    assert made == pod


def test_what_is_the_same_already_is_not_recorded() -> None:
    assert changed(cases.pod(), "same")[1].restore == record.Restore()


@pytest.mark.parametrize("empty", [None, []])
def test_empty_lists_come_back_as_they_were_written(empty: object) -> None:
    pod = cases.pod({"name": "app", "env": empty, "volumeMounts": empty}, volumes=empty)
    for changes in ((), ("env", "mount", "volume")):
        made, told = changed(pod, *changes)
        edit.undo(made, told)
        assert made == pod


def test_of_two_variables_of_one_name_the_last_counts() -> None:
    pod = cases.pod({"name": "app", "env": [{"name": "A", "value": "x"}, {"name": "B"}, {"name": "A", "value": "y"}]})
    made, told = changed(pod, "env")
    assert [entry.get("value") for entry in made["spec"]["containers"][0]["env"]] == ["x", None, "1"]
    edit.undo(made, told)
    assert made == pod


def test_a_probe_that_somebody_set_since_stays() -> None:
    pod = cases.pod({"name": "app", "livenessProbe": {"a": 1}})
    made = copy.deepcopy(pod)
    edits = edit.Edits(made, 0)
    edits.drop("livenessProbe")
    edits.annotate(record.Record("web", "app", ("/app",), False))
    edits.app["livenessProbe"] = {"b": 2}
    told = record.read(made)
    assert told is not None
    edit.undo(made, told)
    assert made["spec"]["containers"][0]["livenessProbe"] == {"b": 2}
