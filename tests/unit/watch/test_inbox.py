"""The hand-over to the loop."""

import asyncio
import threading
import time

from devloop.watch import events, inbox

OPENED, DIRTY = events.Opened(frozenset({"a"})), events.Dirty(frozenset({"a"}))
MARK = events.Mark("m")


def tell(subject: inbox.Inbox, *told: events.Event) -> None:
    def put_all() -> None:
        for event in told:
            subject.put(event)

    thread = threading.Thread(target=put_all)
    thread.start()
    thread.join()


async def test_each_ear_hears_what_it_is_for() -> None:
    for ear, heard in ((inbox.Ear.ALL, 3), (inbox.Ear.CHANGES, 2), (inbox.Ear.URGENT, 1)):
        woken = 0
        for event in (MARK, DIRTY, OPENED):
            subject = inbox.Inbox(asyncio.get_running_loop())
            waiting = asyncio.gather(subject.wait(ear, time.monotonic() + 3_600))
            await asyncio.sleep(0)
            tell(subject, event)
            woken += subject.wake_ups
            subject.ring()
            await waiting
            assert [each for _, each in subject.take()] == [event]
        assert woken == heard


async def test_what_came_before_the_wait_ends_it_at_once() -> None:
    subject = inbox.Inbox(asyncio.get_running_loop())
    tell(subject, DIRTY)
    await subject.wait(inbox.Ear.CHANGES, time.monotonic() + 3_600)
    assert subject.wake_ups == 0


async def test_the_wait_ends_at_its_time() -> None:
    subject = inbox.Inbox(asyncio.get_running_loop())
    tell(subject, OPENED)
    await subject.wait(inbox.Ear.URGENT, time.monotonic() + 0.001)
    assert subject.path_count == 1


async def test_too_many_paths_become_a_rescan_and_the_rest_is_kept() -> None:
    subject = inbox.Inbox(asyncio.get_running_loop())
    many = events.Dirty(frozenset(map(str, range(inbox.MAX_PATHS // 2))))
    tell(subject, many, MARK, many, DIRTY)
    assert [event for _, event in subject.take()] == [MARK, events.Rescan("", events.Reason.TOO_MANY), DIRTY]
    assert subject.path_count == 0


async def test_a_closed_loop_is_no_trouble() -> None:
    loop = asyncio.new_event_loop()
    subject = inbox.Inbox(loop)
    loop.close()
    tell(subject, MARK)
    assert subject.wake_ups == 1
