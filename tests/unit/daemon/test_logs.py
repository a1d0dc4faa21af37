"""The watch's own log: every event, bounded, private, and never in the way."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest

from devloop.daemon import bus, logs
from devloop.sync import events


async def write(log: logs.EventLog, *published: events.Event) -> None:
    source = bus.Bus()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(log.run(source.subscribe()))
        for event in published:
            source.publish(event)
        source.close()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def test_every_event_is_a_line_in_a_private_file(tmp_path: Path) -> None:
    log = logs.EventLog(str(tmp_path))
    await write(log, events.Paused(paused=True), events.Ready(ms=1.0))
    await write(log, events.Pulled(path="caf\udce9", conflict=""))
    path = tmp_path / logs.NAME
    assert [line["event"] for line in lines(path)] == ["paused", "ready", "pulled"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert log.trouble == ""


async def test_lines_are_gathered_into_few_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    write_one = logs.EventLog._write

    def count(self: logs.EventLog, raw: bytes) -> None:
        writes.append(len(raw))
        write_one(self, raw)

    monkeypatch.setattr(logs.EventLog, "_write", count)
    await write(logs.EventLog(str(tmp_path)), *(events.Ready(ms=float(index)) for index in range(500)))
    assert len(lines(tmp_path / logs.NAME)) == 500
    assert len(writes) <= 2


async def test_a_long_log_is_begun_anew_and_the_last_one_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 500)
    for index in range(30):
        await write(logs.EventLog(str(tmp_path)), events.Ready(ms=float(index)))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [logs.NAME, f"{logs.NAME}.1"]
    assert all((tmp_path / name).stat().st_size <= 500 for name in names)
    assert lines(tmp_path / logs.NAME)[-1]["ms"] == 29.0


async def test_a_disk_that_refuses_ends_the_log_and_nothing_else(tmp_path: Path) -> None:
    log = logs.EventLog(str(tmp_path / "missing"))
    await write(log, events.Ready(ms=1.0))
    assert "No such file" in log.trouble


async def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / logs.NAME).symlink_to(victim)
    log = logs.EventLog(str(tmp_path))
    await write(log, events.Ready(ms=1.0))
    assert log.trouble and victim.read_text() == "precious"


async def test_a_slow_disk_costs_a_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_WAITING", 10)
    log = logs.EventLog(str(tmp_path))
    await write(log, *(events.Ready(ms=float(index)) for index in range(100)))
    said = lines(tmp_path / logs.NAME)
    assert said[-1]["ms"] == 99.0
    assert len(said) <= 11


async def test_what_the_cluster_keeps_is_not_kept_again(tmp_path: Path) -> None:
    log = logs.EventLog(str(tmp_path))
    told = events.Output(service="web", source="log", pod="web-0", container="app", lines=("a",))
    await write(log, told, events.Ready(ms=1.0))
    assert [line["event"] for line in lines(tmp_path / logs.NAME)] == ["ready"]
