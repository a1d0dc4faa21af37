"""What is known of a pod, and waiting for more."""

from __future__ import annotations

import asyncio

from devloop.logs import tracker
from tests.unit.logs import node as nodes


def test_a_run_is_never_taken_back() -> None:
    raw = nodes.pod("web-0", "", "app", "side")
    subject = tracker.Tracker(raw)
    later = nodes.pod("web-0", "", "app", "side")
    later["status"]["containerStatuses"][0] = nodes.running("app", 2)
    subject.update(later)
    subject.update(raw)
    app, side = subject.container("app"), subject.container("side")
    assert app is not None and app.restarts == 2
    assert side is not None and side.restarts == 0
    assert subject.container("none") is None


def test_another_pod_of_the_name_is_the_end_of_this_one() -> None:
    subject = tracker.Tracker(nodes.pod("web-0"))
    subject.update(nodes.pod("web-0", "another"))
    assert subject.gone and subject.uid == "uid-web-0"


async def test_whoever_waits_is_woken_by_each_change() -> None:
    subject = tracker.Tracker(nodes.pod("web-0"))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for ends in (False, True):
            waiting = [group.create_task(subject.change(60)) for _ in range(2)]
            await asyncio.sleep(0)
            if ends:
                subject.lose()
            else:
                subject.update(nodes.pod("web-0"))
            await asyncio.wait(waiting)


async def test_patience_ends() -> None:
    await tracker.Tracker(nodes.pod("web-0")).change(0.001)
