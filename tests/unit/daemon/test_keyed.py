"""Every key is answered by a line, unless events answer it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from devloop import errors
from devloop.daemon import keyed
from devloop.sync import events, status


class Project:
    """Two services, `a` and `b`, that answer what the test says."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.paused = False
        self.held = 0
        self.apps = 0
        self.states = {"a": "in sync", "b": "in sync"}
        self.rows: dict[str, list[status.DiffRow] | errors.DevloopError] = {"a": [], "b": []}

    def snapshot(self) -> status.ProjectStatus:
        services = tuple(
            status.ServiceStatus(name, state, (), (), None, 0, 0, (), 0, 0, 0.0, 0.0)
            for name, state in self.states.items()
        )
        return status.ProjectStatus("p", "/p", 1, "0", 0.0, self.paused, services)

    def set_paused(self, paused: bool) -> None:
        self.paused = paused

    async def approve(self) -> int:
        return self.held

    async def restart_all(self) -> int:
        return self.apps

    async def flush(self, names: Iterable[str], timeout_s: float) -> Mapping[str, str]:
        assert list(names) == [] and timeout_s > 0
        return self.states

    async def diff(self, names: Iterable[str]) -> list[status.DiffRow]:
        (name,) = names
        found = self.rows[name]
        if isinstance(found, errors.DevloopError):
            raise found
        return found

    def tell(self, event: events.Notice) -> None:
        self.told.append((event.service, event.message))


def row(what: str) -> status.DiffRow:
    return status.DiffRow("a", "t", "/app", "x", what, "")


async def test_a_diff_begins_with_a_line_and_ends_with_one_for_each_service() -> None:
    project = Project()
    project.rows["a"] = [row("extra"), row("held-delete"), row("extra"), row("new-kind")]
    await keyed.diff(project)
    assert project.told == [
        ("", "looking for what differs in the targets …"),
        ("a", "diff: 2 only there, 1 deleted here and held, 1 new-kind; `devloop diff` lists them"),
        ("b", "diff: laptop and target are the same"),
    ]


async def test_a_service_without_a_link_does_not_keep_the_others_from_being_told() -> None:
    project = Project()
    project.rows["a"] = errors.LinkError("a's target is not connected")
    await keyed.diff(project)
    assert project.told[1:] == [
        ("a", "cannot tell what differs: a's target is not connected"),
        ("b", "diff: laptop and target are the same"),
    ]


async def test_a_flush_says_whether_everything_is_there() -> None:
    project = Project()
    project.states["b"] = "held"
    await keyed.flush(project)
    assert project.told == [
        ("a", "flushed: everything that was saved is in the target"),
        ("b", "what was saved may not all be in the target: held"),
    ]


@pytest.mark.parametrize(("held", "state", "lines"), [(0, "in sync", 1), (3, "held", 0), (0, "stopped", 0)])
async def test_an_approval_of_nothing_is_said(held: int, state: str, lines: int) -> None:
    project = Project()
    project.held, project.states["a"] = held, state
    await keyed.approve(project)
    assert [message for _, message in project.told] == ["nothing waits for approval"] * lines


@pytest.mark.parametrize("apps", [0, 2])
async def test_a_restart_without_an_app_is_said(apps: int) -> None:
    project = Project()
    project.apps = apps
    await keyed.restart(project)
    assert len(project.told) == (0 if apps else 1)


def test_pause_goes_on_where_it_is_paused() -> None:
    project = Project()
    keyed.pause(project)
    assert project.paused
    keyed.pause(project)
    assert not project.paused
