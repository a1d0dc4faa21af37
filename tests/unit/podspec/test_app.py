from __future__ import annotations

from typing import Any

import pytest

from devloop.podspec import app, inject
from tests.unit.podspec import cases


def made(pod: dict[str, Any] | None = None, **service: Any) -> dict[str, Any]:
    done = inject.inject(pod or cases.pod(), cases.service(**service), cases.platform())
    assert done.refusals == ()
    container = done.pod["spec"]["containers"][0]
    assert isinstance(container, dict)
    return container


def refused(pod: dict[str, Any], **service: Any) -> list[str]:
    return [refusal.message for refusal in app.refusals(pod, 0, cases.service(**service))]


def test_without_supervise_the_command_stays() -> None:
    container = made(command=["x"], workdir="/w")
    assert (container["command"], container["workingDir"]) == (["serve"], "/w")
    assert "args" not in container


@pytest.mark.parametrize(
    ("given", "workdir"),
    [({}, None), ({"command": ["x"]}, "/app"), ({"command": ["x"], "workdir": "/w"}, "/w"), ({"workdir": "/w"}, "/w")],
)
def test_where_a_supervised_command_runs(given: dict[str, Any], workdir: str | None) -> None:
    assert made(supervise=True, **given).get("workingDir") == workdir


@pytest.mark.parametrize(("grace_s", "said"), [(5, "5"), (0.2, "0.2"), (2.5, "2.5"), (1 / 3, "0.33"), (1200, "1200")])
def test_grace_is_seconds_to_the_hundredth(grace_s: float, said: str) -> None:
    command = made(supervise=True, grace_s=grace_s)["command"]
    assert command[command.index("--grace") + 1] == said


@pytest.mark.parametrize(
    ("probes", "supervise", "left"),
    [
        ("auto", True, []),
        ("auto", False, ["livenessProbe", "startupProbe"]),
        ("keep", True, ["livenessProbe", "startupProbe"]),
        ("drop", False, []),
    ],
)
def test_probes(probes: str, supervise: bool, left: list[str]) -> None:
    probe = {"tcpSocket": {"port": 1}}
    pod = cases.pod()
    pod["spec"]["containers"][0] |= {"livenessProbe": probe, "startupProbe": probe, "readinessProbe": probe}
    container = made(pod, probes=probes, supervise=supervise)
    assert sorted(key for key in container if key.endswith("Probe")) == sorted([*left, "readinessProbe"])


def test_waiting_needs_the_launcher() -> None:
    assert refused(cases.pod(), wait_first_sync=True) == [
        "wait_first_sync needs the launcher, and that needs reload: supervise"
    ]


@pytest.mark.parametrize("own", [{}, {"command": None}, {"command": []}, {"args": ["x"]}])
def test_an_images_own_command_is_not_known(own: dict[str, Any]) -> None:
    pod = cases.pod({"name": "app", **own})
    assert "names no command" in refused(pod, supervise=True)[0]
    assert refused(pod, supervise=True, command=["x"]) == []


def test_what_is_mounted_already_cannot_be_persisted() -> None:
    pod = cases.pod({"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/cache/"}]})
    found = refused(pod, persist=["/cache", "/app", "/app/x"])
    assert found == [
        "/cache cannot be persisted: it is a volume already",
        "/app cannot be persisted: it is synced",
    ]


@pytest.mark.parametrize(("path", "count"), [("/devloop", 1), ("/devloop/tools/", 1), ("/devlooped", 0)])
def test_devloops_own_folder_is_taken(path: str, count: int) -> None:
    pod = cases.pod({"name": "app", "volumeMounts": [{"name": "v", "mountPath": path}]})
    assert len(refused(pod)) == count
