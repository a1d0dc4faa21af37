"""A process reads the logs; what it prints becomes events, at this process's pace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from devloop.daemon import podlogs
from devloop.sync import events


def line(text: str, pod: str = "web-0", container: str = "app") -> str:
    return json.dumps({"service": "web", "pod": pod, "container": container, "time": "t", "line": text, "restart": 0})


@contextlib.asynccontextmanager
async def reading(script: str, again_s: float = 60.0) -> AsyncIterator[list[events.Event]]:
    """Run a script in place of `devloop logs`, and collect what is published."""
    told: list[events.Event] = []
    subject = podlogs.PodLogs([sys.executable, "-c", script], told.append, again_s=again_s)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(subject.run())
        yield told
        task.cancel()


async def until(told: list[events.Event], count: int) -> None:
    while len(told) < count:
        await asyncio.sleep(0.005)


def test_lines_of_a_container_are_one_event_and_rubbish_is_none() -> None:
    text = "\n".join([line("a"), line("b", "web-1"), "rubbish", "{}", line("c"), line("d", container="side")])
    found = podlogs.events_of(text.encode())
    assert [(each.pod, each.container, each.lines, each.source) for each in found] == [
        ("web-0", "app", ("a", "c"), "log"),
        ("web-1", "app", ("b",), "log"),
        ("web-0", "side", ("d",), "log"),
    ]


def test_the_command_that_reads() -> None:
    made = podlogs.command(["devloop"], ["web", "db"], {"--file": "f", "--context": ""})
    assert " ".join(made) == "devloop logs --follow --leashed --tail 0 -o json --file f web db"


async def test_what_is_printed_is_published() -> None:
    script = f"import sys; print({line('a')!r}, flush=True); sys.stdin.read()"
    async with reading(script) as told:
        await until(told, 1)
    assert isinstance(told[0], events.Output) and told[0].lines == ("a",)


async def test_a_remark_is_a_notice_said_once() -> None:
    script = "import sys; print('web: no pods\\nhint: wait', file=sys.stderr); print('web: no pods', file=sys.stderr)"
    async with reading(script, again_s=0.01) as told:
        await until(told, 1)
        await asyncio.sleep(0.2)
    assert [each.message for each in told if isinstance(each, events.Notice)] == ["web: no pods"]


async def test_one_that_ends_is_started_again() -> None:
    async with reading(f"print({line('a')!r})", again_s=0.01) as told:
        await until(told, 2)


async def test_one_that_cannot_be_started_is_said() -> None:
    told: list[events.Event] = []
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(podlogs.PodLogs(["/nowhere/devloop"], told.append).run())
        await until(told, 1)
        task.cancel()
    assert isinstance(told[0], events.Notice) and "cannot be followed" in told[0].message


async def test_it_ends_with_the_watch_although_it_is_in_full_flood(tmp_path: Path) -> None:
    here = tmp_path / "pid"
    script = f"""
import os, sys, threading
open({str(here)!r}, "w").write(str(os.getpid()))
def leash():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=leash).start()
while True:
    sys.stdout.write({line("a" * 100)!r} + "\\n")
"""
    async with reading(script) as told:
        await until(told, 20)
    assert not Path(f"/proc/{here.read_text()}").exists()


async def test_one_that_does_not_obey_is_killed(tmp_path: Path) -> None:
    here = tmp_path / "pid"
    script = f"import os, time; open({str(here)!r}, 'w').write(str(os.getpid()))\n"
    script += f"print({line('a')!r}, flush=True); time.sleep(60)"
    async with reading(script) as told:
        await until(told, 1)
    async with asyncio.timeout(10):
        while os.path.exists(f"/proc/{here.read_text()}"):
            await asyncio.sleep(0.01)
