"""A link is opened again as long as that can help, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from devloop import errors
from devloop.core import backoff
from devloop.daemon import redial
from devloop.sync import events

BROKEN = errors.LinkError("nobody answers")


class Line:
    """Opens links as a script says: how far each comes, and what ends it."""

    def __init__(self, *script: tuple[str, errors.DevloopError]) -> None:
        self.events: list[events.LinkChanged] = []
        self.subject = redial.Redial("pod", self.publish)
        self.details: list[str] = []
        self._script = list(script)
        self.is_over = asyncio.Event()

    def publish(self, event: events.Event) -> None:
        assert isinstance(event, events.LinkChanged) and event.target == "pod"
        self.events.append(event)

    async def link_once(self) -> None:
        self.details.append(self.subject.detail)
        if not self._script:
            self.is_over.set()
            await asyncio.Event().wait()
        far, error = self._script.pop(0)
        if far != "refused":
            self.subject.reached()
        if far == "open":
            self.subject.opened()
            self.details.append(self.subject.detail)
        raise error

    async def play(self) -> None:
        """Keep the link to the end of the script."""
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            running = group.create_task(self.subject.run(self.link_once))
            await self.is_over.wait()
            running.cancel()

    async def fatal(self) -> errors.DevloopError:
        found: list[errors.DevloopError] = []
        try:
            await self.play()
        except* errors.DevloopError as group:
            found.append(errors.first(group))
        return found[0]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count instead of waiting: every series of pauses is a letter."""
    begun: list[str] = []

    def delays() -> Iterator[float]:
        begun.append("")
        while True:
            begun[-1] += "."
            yield 0.0

    monkeypatch.setattr(backoff, "delays", delays)
    return begun


async def test_a_link_that_is_lost_is_opened_again_and_why_is_told(pauses: list[str]) -> None:
    line = Line(("refused", BROKEN), ("open", errors.LinkError("it broke")), ("refused", BROKEN))
    await line.play()
    assert [(each.up, each.detail) for each in line.events] == [
        (False, "nobody answers"),
        (True, ""),
        (False, "it broke"),
        (False, "nobody answers"),
    ]
    assert line.details == ["not connected yet", "nobody answers", "", "it broke", "nobody answers"]
    assert pauses == ["..."]


async def test_after_a_healthy_link_the_first_retry_is_quick_again(
    pauses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redial, "HEALTHY_S", -1.0)
    line = Line(("refused", BROKEN), ("refused", BROKEN), ("open", BROKEN), ("refused", BROKEN))
    await line.play()
    assert pauses == ["..", ".."]


@pytest.mark.parametrize(
    "error",
    [
        errors.OwnedError("owned", owner="ann@there"),
        errors.SkewError("too old"),
        errors.AgentError("the roots overlap"),
    ],
)
async def test_what_no_retry_mends_ends_it(error: errors.DevloopError) -> None:
    assert await Line(("reached", error)).fatal() is error


async def test_a_key_may_be_outdated_for_a_moment_but_a_stranger_is_not_asked_for_ever() -> None:
    wrong = errors.AuthError("a wrong key")
    few = [("reached", wrong)] * (redial.MAX_UNPROVED - 1)
    await Line(*few, ("open", BROKEN), *few, ("open", BROKEN)).play()
    assert await Line(*few, ("reached", wrong)).fatal() is wrong


async def test_an_agent_that_does_not_start_may_start_later_where_one_ran_before() -> None:
    refused = errors.AgentError("the folder is read-only")
    assert await Line(("refused", refused)).fatal() is refused
    line = Line(("open", BROKEN), ("refused", refused), ("open", BROKEN))
    await line.play()
    assert [each.detail for each in line.events if not each.up] == [
        "nobody answers",
        "the folder is read-only",
        "nobody answers",
    ]
    # One that does start, and refuses to be ours, is another matter.
    assert await Line(("open", BROKEN), ("reached", refused)).fatal() is refused
