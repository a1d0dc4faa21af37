"""What apps on this machine printed, from the watch's log of events."""

from __future__ import annotations

import asyncio
from pathlib import Path

from devloop.logs import local, values
from devloop.sync import events
from tests.unit.logs import node as nodes


def output(second: int, *lines: str, service: str = "web", source: str = "app") -> bytes:
    event = events.Output(time=1_750_000_000 + second, service=service, source=source, lines=lines)
    return events.to_json(event) + b"\n"


def texts(found: list[values.Batch]) -> list[bytes]:
    return [line.split(b" ", 1)[1] for each in found for line in each.lines]


async def read(path: Path, start: values.Start | None = None, containers: tuple[str, ...] = ()) -> list[bytes]:
    return texts(await local.Reader(str(path), {"web"}, start or values.Start(), containers).once())


async def test_both_files_are_read_and_nothing_else_of_them(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    path.with_name("debug.log.1").write_bytes(output(1, "old") + events.to_json(events.Ready(ms=1)) + b"\n")
    path.write_bytes(output(2, "a", "b") + output(3, "other", service="db") + b'{"event":"output" damaged\n' + b"half")
    assert await read(path) == [b"old", b"a", b"b"]


async def test_there_need_be_no_file(tmp_path: Path) -> None:
    assert await read(tmp_path / "debug.log") == []


async def test_the_last_lines_of_each_and_what_is_not_too_old(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    path.write_bytes(output(1, "1", "2") + output(2, "h", source="hook") + output(3, "3") + output(4, "4", "5"))
    assert await read(path, values.Start(tail=2)) == [b"h", b"4", b"5"]
    assert await read(path, values.Start(tail=0)) == []
    assert await read(path, values.Start(since="2025-06-15T15:06:43Z")) == [b"3", b"4", b"5"]
    assert await read(path, containers=("hook",)) == [b"h"]


async def test_it_is_followed_into_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    got = nodes.Got()
    reader = local.Reader(str(path), {"web"}, values.Start())
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        following = group.create_task(reader.follow(got.put))
        path.write_bytes(output(1, "1")[:-5])
        await asyncio.sleep(0)
        path.write_bytes(output(1, "1"))
        await got.until(b"1")
        with path.open("ab") as file:
            file.write(output(2, "2"))
        path.rename(tmp_path / "debug.log.1")
        path.write_bytes(output(3, "3"))
        await got.until(b"1", b"2", b"3")
        following.cancel()


def test_a_line_has_a_stamp_like_that_of_a_node() -> None:
    found = local.batch(output(1, "a"), {"web"})
    assert found is not None and found.origin == values.Origin("web", "", "", "app")
    assert found.lines == [b"2025-06-15T15:06:41.000000Z a"]
