"""When a wait for an Application is over, what it waits for, and what makes it fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NoReturn, cast

import pytest

from devloop import errors
from devloop.argocd import application, backend, waiting
from tests.unit.argocd import samples

SHOP = application.Reference("argocd", "shop")
Verdict, State = waiting.Verdict, waiting.State


def state(sync: str = "Synced", health: str = "Healthy", **status: Any) -> application.Application:
    raw = samples.raw()
    raw["status"] |= {"sync": {"status": sync, "revision": "a" * 40}, "health": {"status": health}, **status}
    return application.read(raw)


def operation(phase: str, started: str = "2026-11-20T11:00:00Z", **more: str) -> dict[str, Any]:
    return {"phase": phase, "startedAt": started, "operation": {}, **more}


def test_what_is_as_wanted_is_done() -> None:
    assert waiting.verdict(state(), waiting.Wanted()) == Verdict(State.DONE)
    assert waiting.verdict(state("OutOfSync"), waiting.Wanted(synced=False)) == Verdict(State.DONE)
    assert waiting.verdict(state(health="Progressing"), waiting.Wanted(healthy=False)) == Verdict(State.DONE)
    assert waiting.verdict(state(health="Suspended"), waiting.Wanted()) == Verdict(State.DONE)


@pytest.mark.parametrize(
    ("one", "wanted", "why"),
    [
        (state("OutOfSync"), waiting.Wanted(), "it is OutOfSync"),
        (state(health="Progressing"), waiting.Wanted(), "it is Progressing"),
        (state(operationState=operation("Running")), waiting.Wanted(), "the sync is running"),
        (
            state(operationState=operation("Succeeded", finishedAt="2026-11-20T11:01:00Z")),
            waiting.Wanted(),
            "Argo CD has not compared it since the sync",
        ),
        (
            state(reconciledAt=None, operationState=operation("Succeeded", finishedAt="2026-11-20T11:01:00Z")),
            waiting.Wanted(),
            "Argo CD has not compared it since the sync",
        ),
        (state(), waiting.Wanted(revisions=("b" * 40,)), "it is compared with aaaaaaaaaaaa, not with bbbbbbbbbbbb"),
        (state(), waiting.Wanted(revisions=("", "b" * 40)), "it is compared with nothing, not with bbbbbbbbbbbb"),
    ],
)
def test_what_is_missing(one: application.Application, wanted: waiting.Wanted, why: str) -> None:
    assert waiting.verdict(one, wanted) == Verdict(State.WAITING, why)


def test_an_operation_that_is_asked_for_counts_as_running() -> None:
    raw = samples.raw()
    raw["operation"] = {"sync": {}}
    assert waiting.verdict(application.read(raw), waiting.Wanted()).why == "the sync is asked for"


def test_a_sync_that_failed_before_the_wait_is_not_this_ones() -> None:
    failed = operation("Failed", message="hook failed", finishedAt="2026-11-20T09:59:30Z")
    before = state("OutOfSync", operationState=failed)
    assert waiting.verdict(before, waiting.Wanted(), before).state is State.WAITING
    again = {**failed, "startedAt": "2026-11-20T12:00:00Z", "finishedAt": "2026-11-20T12:00:30Z"}
    now = state("OutOfSync", operationState=again)
    assert waiting.verdict(now, waiting.Wanted(), before) == Verdict(State.FAILED, "the sync failed: hook failed")


def test_one_that_ran_when_the_wait_began_is_this_ones() -> None:
    before = state(operationState=operation("Running"))
    now = state(operationState=operation("Error", message="no such branch", finishedAt="2026-11-20T11:01:00Z"))
    assert waiting.verdict(now, waiting.Wanted(), before).why == "the sync failed: no such branch"


def test_what_becomes_degraded_fails_and_what_was_is_waited_for() -> None:
    broken = state(health="Degraded")
    assert waiting.verdict(broken, waiting.Wanted(), broken).state is State.WAITING
    assert waiting.verdict(broken, waiting.Wanted(), state()).state is State.FAILED


def test_a_repository_that_cannot_be_rendered_fails() -> None:
    conditions = [{"type": "ComparisonError", "message": "revision nope not found"}]
    found = waiting.verdict(state("Unknown", conditions=conditions), waiting.Wanted())
    assert found == Verdict(State.FAILED, "Argo CD cannot compare it: revision nope not found")


def test_progress_is_what_is_not_done_yet() -> None:
    raw = samples.raw()
    raw["status"]["resources"] = [
        {"kind": "Service", "name": "web", "status": "Synced", "health": {"status": "Healthy"}},
        {"kind": "ConfigMap", "name": "old", "status": "OutOfSync", "requiresPruning": True},
        {
            "kind": "Deployment",
            "name": "web",
            "status": "Synced",
            "health": {"status": "Progressing", "message": "1 of 2"},
        },
    ]
    one = application.read(raw)
    assert waiting.progress(one) == (
        waiting.Step("ConfigMap/old", "to be deleted"),
        waiting.Step("Deployment/web", "Progressing", "1 of 2"),
    )
    raw["status"]["operationState"] = {
        "phase": "Running",
        "startedAt": "2026-11-20T11:00:00Z",
        "syncResult": {
            "resources": [{"kind": "Deployment", "name": "web", "status": "SyncFailed", "message": "quota"}]
        },
    }
    steps = waiting.progress(application.read(raw))
    assert waiting.Step("Deployment/web", "SyncFailed", "quota") in steps


class Told:
    """A way to Applications that tells what a test says, and then nothing more."""

    def __init__(self, *states: application.Application | None) -> None:
        self._states = states

    async def follow(self, which: Sequence[application.Reference], tell: backend.Tell) -> NoReturn:
        for each in self._states:
            tell(which[0], each)
            await asyncio.sleep(0)
        await asyncio.get_running_loop().create_future()
        raise AssertionError


async def wait(*states: application.Application | None, timeout_s: float = 30.0) -> list[waiting.State]:
    told: list[waiting.State] = []
    apps = cast(backend.Backend, Told(*states))
    await waiting.until(apps, [SHOP], waiting.Wanted(), lambda _, found: told.append(found.state), timeout_s=timeout_s)
    return told


async def test_a_wait_ends_when_all_is_as_wanted() -> None:
    assert await wait(state("OutOfSync"), state(health="Progressing"), state()) == [
        State.WAITING,
        State.WAITING,
        State.DONE,
    ]


async def test_a_wait_ends_with_a_failure() -> None:
    with pytest.raises(errors.ClusterError, match="Degraded") as raised:
        await wait(state("OutOfSync"), state(health="Degraded"))
    assert raised.value.error_code == "DL1045"


async def test_a_wait_for_what_is_not_there_ends() -> None:
    with pytest.raises(errors.NotThereError):
        await wait(None)


async def test_a_wait_has_an_end_and_says_what_is_missing() -> None:
    with pytest.raises(errors.ClusterError, match="argocd/shop: it is OutOfSync") as raised:
        await wait(state("OutOfSync"), timeout_s=0.05)
    assert raised.value.error_code == "DL1044"
