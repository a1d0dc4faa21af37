"""Every view gets every event, and none holds the rest up."""

from __future__ import annotations

import asyncio

import pytest

from devloop.daemon import bus
from devloop.sync import events


def output(*lines: str) -> events.Output:
    return events.Output(service="web", source="app", lines=lines)


async def take(subscription: bus.Subscription, count: int) -> list[events.Event]:
    found = []
    async with asyncio.timeout(5):
        async for event in subscription:
            found.append(event)
            if len(found) == count:
                break
    return found


async def take_all(subscription: bus.Subscription) -> list[events.Event]:
    async with asyncio.timeout(5):
        return [event async for event in subscription]


async def test_every_view_gets_every_event_in_order_with_its_time_and_service() -> None:
    subject = bus.Bus()
    views = [subject.subscribe(), subject.subscribe()]
    publish = subject.publisher("web")
    publish(events.GitMoved(old="a", new="b"))
    subject.publish(events.Ready(ms=1))
    for view in views:
        first, second = await take(view, 2)
        assert isinstance(first, events.GitMoved)
        assert isinstance(second, events.Ready)
        assert (first.service, second.service) == ("web", "")
        assert 0 < first.time <= second.time


async def test_a_view_that_waits_is_woken() -> None:
    subject = bus.Bus()
    view = subject.subscribe()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(take(view, 1))
        await asyncio.sleep(0)
        subject.publish(events.Ready(ms=1))
    assert len(waiting.result()) == 1


async def test_closing_ends_the_views_after_what_they_have_queued() -> None:
    subject = bus.Bus()
    view = subject.subscribe()
    subject.publish(events.Ready(ms=1))
    subject.close()
    subject.publish(events.Stopping())
    assert [type(event) for event in await take_all(view)] == [events.Ready]
    assert await take_all(subject.subscribe()) == []


async def test_one_that_left_gets_no_more() -> None:
    subject = bus.Bus()
    view = subject.subscribe()
    subject.unsubscribe(view)
    subject.unsubscribe(view)
    subject.publish(events.Ready(ms=1))
    assert await take_all(view) == []


async def test_one_that_joins_late_is_told_the_recent_past() -> None:
    subject = bus.Bus()
    for number in range(bus.RECENT_EVENTS + 3):
        subject.publish(events.Ready(ms=number))
    without = subject.subscribe()
    view = subject.subscribe(recent=True)
    subject.close()
    told = [event.ms for event in await take_all(view) if isinstance(event, events.Ready)]
    assert told == list(range(3, bus.RECENT_EVENTS + 3))
    assert await take_all(without) == []


async def test_one_that_does_not_keep_up_loses_output_first_and_is_told_how_much() -> None:
    subject = bus.Bus()
    view = subject.subscribe()
    subject.publish(events.Ready(ms=0))
    for number in range(bus.QUEUE_EVENTS + 10):
        subject.publish(output(f"{number}", "second"))
    subject.close()
    found = await take_all(view)
    assert len(found) == bus.QUEUE_EVENTS
    assert isinstance(found[0], events.Ready)
    first = found[1]
    assert isinstance(first, events.Output)
    assert first.lines[0] == "11"
    assert first.dropped == 22
    assert all(isinstance(event, events.Output) and not event.dropped for event in found[2:])


async def test_without_output_the_oldest_events_are_lost() -> None:
    subject = bus.Bus()
    view = subject.subscribe()
    for number in range(bus.QUEUE_EVENTS + 1):
        subject.publish(events.Ready(ms=number))
    subject.close()
    found = await take_all(view)
    assert [event.ms for event in found if isinstance(event, events.Ready)][:1] == [1]
    assert len(found) == bus.QUEUE_EVENTS


@pytest.mark.parametrize("lost", [0, 3])
async def test_lines_lost_earlier_are_added_to_those_lost_here(lost: int) -> None:
    subject = bus.Bus()
    view = subject.subscribe()
    for _ in range(bus.QUEUE_EVENTS + 1):
        subject.publish(events.Output(service="web", source="app", lines=("x",), dropped=lost))
    subject.close()
    first = (await take_all(view))[0]
    assert isinstance(first, events.Output)
    assert first.dropped == lost + 1


def log(*lines: str) -> events.Output:
    return events.Output(service="web", source="log", pod="web-0", container="app", lines=lines)


async def test_a_view_that_does_not_keep_up_loses_lines_of_logs_and_no_event() -> None:
    subject = bus.Bus()
    view = subject.subscribe()
    subject.publish(events.Ready(ms=0))
    for number in range(30):
        subject.publish(log(*(f"{number} {each}" for each in range(1000))))
        subject.publish(events.Ready(ms=number))
    subject.publish(output("said"))
    subject.close()
    found = await take_all(view)
    assert sum(isinstance(event, events.Ready) for event in found) == 31
    told = [event for event in found if isinstance(event, events.Output)]
    assert sum(map(bus.log_lines, found)) == bus.QUEUE_LOG_LINES
    assert sum(event.dropped for event in told) == 30_000 - bus.QUEUE_LOG_LINES
    assert told[0].lines[0] == "20 0" and told[-1].lines == ("said",)


async def test_lines_of_logs_that_were_taken_make_room() -> None:
    subject = bus.Bus()
    view = subject.subscribe()
    for _ in range(3):
        subject.publish(log(*["x"] * bus.QUEUE_LOG_LINES))
        (event,) = await take(view, 1)
        assert isinstance(event, events.Output) and event.dropped == 0


async def test_one_that_joins_late_is_not_told_of_logs() -> None:
    subject = bus.Bus()
    subject.publish(log("a"))
    subject.publish(output("b"))
    view = subject.subscribe(recent=True)
    subject.close()
    assert [event.lines for event in await take_all(view) if isinstance(event, events.Output)] == [("b",)]
