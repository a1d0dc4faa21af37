from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import shaper

SHAPE = shaper.Shape(bytes_per_s=1000.0, delay_s=0.5, buffer_bytes=300)


def test_a_piece_takes_its_time_on_the_link_and_the_delay() -> None:
    assert shaper.Schedule(SHAPE).enter(100, 10.0) == pytest.approx(10.6)


def test_pieces_queue_behind_each_other_at_the_rate() -> None:
    schedule = shaper.Schedule(SHAPE)
    assert [schedule.enter(100, 0.0) for _ in range(3)] == pytest.approx([0.6, 0.7, 0.8])


def test_an_idle_link_saves_nothing_up() -> None:
    schedule = shaper.Schedule(SHAPE)
    schedule.enter(100, 0.0)
    assert schedule.enter(100, 9.0) == pytest.approx(9.6)


def test_the_next_piece_waits_until_the_buffer_has_room() -> None:
    schedule = shaper.Schedule(SHAPE)
    for _ in range(2):
        schedule.enter(100, 0.0)
    assert schedule.room_at(0.0) == 0.0
    schedule.enter(100, 0.0)
    assert schedule.room_at(0.0) == pytest.approx(0.1)
    assert schedule.room_at(0.15) == pytest.approx(0.15)


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 2)), min_size=1))
def test_no_more_than_the_rate_ever_arrives(pieces: list[tuple[int, float]]) -> None:
    schedule = shaper.Schedule(SHAPE)
    now_s = 0.0
    arrivals = []
    for size, gap_s in pieces:
        now_s = schedule.room_at(now_s + gap_s)
        arrivals.append((schedule.enter(size, now_s), size))
    for first in range(len(arrivals)):
        carried = sum(size for _, size in arrivals[first + 1 :])
        assert arrivals[-1][0] - arrivals[first][0] >= carried / SHAPE.bytes_per_s - 1e-6


async def test_what_goes_in_comes_out_in_order_both_ways(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(10_000):
            writer.write(piece.upper())
            await writer.drain()
        writer.close()

    fast = shaper.Shape(bytes_per_s=1e9, delay_s=0.001)
    started = asyncio.Event()
    server = await asyncio.start_unix_server(echo, tmp_path / "far")
    async with server, asyncio.TaskGroup() as group:
        serving = group.create_task(shaper.serve(str(tmp_path / "near"), str(tmp_path / "far"), fast, started))
        await started.wait()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "near")
        writer.write(b"a piece of text " * 10_000)
        writer.write_eof()
        assert await reader.readexactly(160_000) == b"A PIECE OF TEXT " * 10_000
        writer.close()
        await writer.wait_closed()
        serving.cancel()
