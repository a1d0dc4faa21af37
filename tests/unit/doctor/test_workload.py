"""What the facts of one service mean."""

from __future__ import annotations

from typing import Any

import pytest

import devloop
from devloop import errors
from devloop.doctor import facts, report, rungs, workload
from devloop.doctor.report import Level
from tests.unit.doctor import test_rungs

HELLO = facts.Hello(devloop.__version__, 1000, (facts.Root("/app", managed=3),))


def pod(**changes: Any) -> facts.Pod:
    return facts.Pod(**{"name": "web-1", "state": "ready", "agent": "running", "hello": HELLO, **changes})


def lines(found: facts.Workload) -> list[report.Line]:
    return list(workload.check(found, rungs.verdicts(found, test_rungs.seen())))


def of(found: facts.Workload) -> dict[str, report.Line]:
    return {line.name: line for line in lines(found)}


def service(*some: facts.Pod, **changes: Any) -> facts.Workload:
    return test_rungs.service(**{"pods": some, **changes})


def test_a_service_where_all_is_well() -> None:
    found = of(service(pod(uid=1000, places=(test_rungs.PLACE,))))
    assert {line.level for line in found.values()} == {Level.PASS}
    assert found["agent"].text == f"devloop {devloop.__version__}"
    assert (found["write"].subject, found["write"].text) == ("web-1:/app", "as user 1000; 3 paths of devloop's")
    assert "4 KiB" in found["seed"].text
    assert found["way in"].text == "declared: the agent is in 1 of 1 pods"
    assert {line.group for line in found.values()} == {"service/web"}


def test_a_workload_that_is_not_there_is_the_only_line() -> None:
    found = lines(service(error=errors.NotThereError("there is no deployment web", hint="did you mean wed?")))
    assert [(line.name, line.level, line.fix) for line in found] == [("workload", Level.FAIL, "did you mean wed?")]
    silent = lines(service(error=facts.Unknown("no answer")))
    assert [(line.name, line.level) for line in silent] == [("workload", Level.UNKNOWN)]


def test_a_workload_without_pods_fails() -> None:
    assert of(service())["workload"].level is Level.FAIL
    assert "quota" in of(service())["workload"].fix
    assert of(service(why="exceeded quota"))["workload"].details == ("exceeded quota",)


@pytest.mark.parametrize(
    ("state", "phase", "blocked", "level", "part"),
    [
        ("the agent waits: devloop-seed: ImagePullBackOff: x", "waiting", True, Level.FAIL, "image"),
        ("the agent waits: CreateContainerConfigError: x", "waiting", True, Level.FAIL, "describe"),
        ("the agent waits: PodInitializing", "waiting", False, Level.WARN, "describe"),
        ("the agent ended: exit 1", "ended", False, Level.FAIL, "describe"),
    ],
)
def test_an_agent_that_does_not_run(state: str, phase: str, blocked: bool, level: Level, part: str) -> None:
    asked = pod(state=state, agent=phase, blocked=blocked, why="Failed to pull", hello=None)
    found = of(service(asked))["agent"]
    assert (found.level, found.text, found.details) == (level, state, ("Failed to pull",))
    assert part in found.fix


def test_an_agent_of_another_version_and_one_that_somebody_uses() -> None:
    other = facts.Hello("0.0.9", 1000, (), "ann@here")
    found = of(service(pod(hello=other)))["agent"]
    assert (found.level, found.details) == (Level.WARN, ("synced by ann@here now",))
    assert "0.0.9" in found.text


def test_an_agent_that_cannot_be_asked_fails_with_what_was_said() -> None:
    skew = errors.SkewError("another major", hint="bring it up to date")
    found = of(service(pod(hello=skew)))["agent"]
    assert (found.level, found.status, found.fix) == (Level.FAIL, errors.Exit.SKEW, "bring it up to date")
    assert of(service(pod(hello=facts.Unknown("slow"))))["agent"].level is Level.UNKNOWN


def test_a_folder_that_cannot_be_written_names_user_and_path() -> None:
    hello = facts.Hello(devloop.__version__, 1234, (facts.Root("/app", "permission denied"),))
    found = of(service(pod(hello=hello)))["write"]
    assert (found.level, found.subject, found.text) == (
        Level.FAIL,
        "web-1:/app",
        "user 1234 cannot: permission denied",
    )


def test_a_container_that_is_not_clear_is_asked_for() -> None:
    obstacle = facts.Obstacle("DL0802", "the pod has 2 containers: app, side", "say which")
    template = facts.Template(container=None, containers=("app", "side"), obstacles=(obstacle,))
    found = of(service(pod(agent="absent", hello=None, running=False), template=template))
    assert (found["container"].level, found["container"].fix) == (Level.FAIL, "say which")
    assert "user" not in found


@pytest.mark.parametrize(
    ("user", "uid", "level", "part"),
    [
        (None, 33, Level.WARN, "run_as: 33"),
        (None, facts.Unknown("no id"), Level.WARN, "run_as: UID"),
        (1000, 33, Level.WARN, "run_as: 33"),
        (1000, 1000, Level.PASS, ""),
        (1000, facts.Unknown("no id"), Level.PASS, ""),
    ],
)
def test_the_user(user: int | None, uid: facts.Maybe[int], level: Level, part: str) -> None:
    template = facts.Template(container="app", containers=("app",), user=user)
    found = of(service(pod(agent="absent", hello=None, uid=uid), template=template))["user"]
    assert found.level is level and part in found.fix


@pytest.mark.parametrize(
    ("shell", "level"),
    [(True, Level.PASS), (False, Level.WARN), (facts.Unknown("the app does not run"), Level.UNKNOWN)],
)
def test_what_is_run_by_exec_needs_a_shell(shell: facts.Maybe[bool], level: Level) -> None:
    template = facts.Template(container="app", containers=("app",), user=1000, by_exec=("reload: signal",))
    found = of(service(pod(shell=shell), template=template))["reload"]
    assert found.level is level and "reload: signal" in found.text
    assert ("supervise" in found.fix) is (shell is False)


def test_no_agent_yet_fails_and_says_how_to_get_it_in() -> None:
    found = of(service(pod(agent="absent", hello=None)))["way in"]
    assert (found.level, found.code) == (Level.FAIL, "DL0760")
    assert "devloop inject" in found.fix


def test_a_straggler_is_named() -> None:
    found = of(service(pod(), pod(name="old", agent="absent", hello=None)))["way in"]
    assert found.level is Level.WARN and "old without an agent" in found.text


def test_no_way_at_all_lists_every_reason() -> None:
    obstacle = facts.Obstacle("DL0805", "the pod runs on Windows")
    template = facts.Template(container="app", containers=("app",), obstacles=(obstacle,))
    found = of(service(pod(agent="absent", hello=None, running=False), template=template))
    assert found["way in"].level is Level.FAIL and len(found["way in"].details) == 4
    assert found["pod"].text == "the pod runs on Windows"


@pytest.mark.parametrize(("kib", "level"), [(2 * 1024 * 1024, Level.WARN), (facts.Unknown("no du"), Level.UNKNOWN)])
def test_a_large_or_unknown_seed(kib: facts.Maybe[int], level: Level) -> None:
    found = of(service(pod(places=(facts.Place("/app", True, kib),))))["seed"]
    assert (found.level, found.subject) == (level, "/app")


def test_one_folder_is_measured_once_for_all_pods() -> None:
    some = [pod(name=name, places=(test_rungs.PLACE,)) for name in ("a", "b")]
    assert [line.name for line in lines(service(*some))].count("seed") == 1


@pytest.mark.parametrize(
    ("found", "level", "part"),
    [
        (facts.Local("web", "/t", True, True), Level.PASS, "/t"),
        (facts.Local("web", "/t", False, True), Level.PASS, "will be made"),
        (facts.Local("web", "/t", False, False), Level.FAIL, "cannot be made"),
        (facts.Local("web", "/t", True, False), Level.FAIL, "cannot be written"),
        (facts.Local("web", "/t", True, True, foreign=True), Level.FAIL, "not empty"),
    ],
)
def test_a_target_on_this_machine(found: facts.Local, level: Level, part: str) -> None:
    line = workload.local(found)
    assert line.level is level and part in line.text


def test_a_folder_on_the_laptop() -> None:
    told = workload.folder(facts.Folder(service="web", label="./web", folders=1))
    assert (told.level, told.subject, told.text) == (Level.PASS, "./web", "1 folder to watch, by inotify")
    foreign = facts.Folder(service="web", label="w", folders=2, repo="of another user", repo_fix="git config …")
    assert workload.folder(foreign).level is Level.WARN
    assert workload.folder(facts.Folder(service="web", label="w", error=errors.LocalError("gone"))).level is Level.FAIL
    slow = facts.Folder(service="web", label="w", folders=facts.Unknown("slow"))
    assert workload.folder(slow).level is Level.UNKNOWN
