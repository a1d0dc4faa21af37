"""When a build is called for, and what became of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from devloop.config import model
from devloop.daemon import builder
from devloop.sync import events


def made(folder: Path, code: str, seen: list[events.Event], **more: Any) -> builder.Builder:
    spec = model.Service.model_validate(
        {
            "target": {"local": str(folder / "target")},
            "sync": [{"from": str(folder), "to": "/app"}],
            "build": {"run": [sys.executable, "-c", code], "when": ["src/**", "*.json"], **more},
        }
    )
    return builder.Builder(spec, seen.append)


async def test_a_build_is_wanted_at_the_start_and_after_a_change_that_matters(tmp_path: Path) -> None:
    work = made(tmp_path, "print('built')", [])
    assert (work.is_wanted, work.failed) == (True, False)
    assert await work.run()
    assert (work.is_wanted, work.failed) == (False, False)
    assert not work.touches(["README", "dist/x"])
    assert (work.is_wanted, work.failed) == (False, False)
    assert work.touches(["README", "src/deep/x.ts"])
    async with asyncio.timeout(1):
        await work.wanted()
    assert await work.run()
    assert work.touches(["package.json"])


async def test_a_change_while_it_runs_calls_for_another(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"import os, time\nprint('up', flush=True)\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    started = asyncio.Event()

    class Seen(list[events.Event]):
        def append(self, event: events.Event) -> None:
            if isinstance(event, events.Output):
                started.set()

    work = made(tmp_path, code, Seen())
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        building = group.create_task(work.run())
        await started.wait()
        work.touches(["src/x"])
        gate.touch()
        assert await building
    assert work.is_wanted


async def test_a_failure_is_remembered_until_a_success(tmp_path: Path) -> None:
    seen: list[events.Event] = []
    flag = tmp_path / "flag"
    work = made(tmp_path, f"import os; raise SystemExit(not os.path.exists({str(flag)!r}))", seen)
    assert not await work.run()
    assert [work.failed] == [True]
    flag.touch()
    assert await work.run()
    assert [work.failed] == [False]
    assert [each.ok for each in seen if isinstance(each, events.CommandDone)] == [False, True]


async def test_it_runs_where_the_configuration_says(tmp_path: Path) -> None:
    for more, where in (({}, tmp_path), ({"cwd": str(tmp_path / "sub")}, tmp_path / "sub")):
        where.mkdir(exist_ok=True)
        seen: list[events.Event] = []
        assert await made(tmp_path, "import os; print(os.getcwd())", seen, **more).run()
        assert [each.lines for each in seen if isinstance(each, events.Output)] == [(str(where),)]
