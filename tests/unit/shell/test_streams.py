"""Our own standard streams: nothing blocks the loop, nothing is stolen, nothing is changed for others."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from pathlib import Path

import pytest

from devloop.shell import streams


async def test_a_pipe_is_read_when_somebody_waits_and_not_before() -> None:
    there, here = os.pipe()
    with streams.opened_input(there) as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await stream.read(10)
        os.write(here, b"for somebody else")
        assert await stream.read(3) == b"for"
    assert os.get_blocking(there) and os.read(there, 100) == b" somebody else"
    os.close(here)
    with streams.opened_input(there) as stream:
        assert await stream.read(10) == b""
    os.close(there)


async def test_a_file_and_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1000))
    for path, size in (("file", 1000), (os.devnull, 0)):
        with (tmp_path / path).open("rb", buffering=0) as file, streams.opened_input(file.fileno()) as stream:
            found = b""
            while data := await stream.read(300):
                found += data
            assert len(found) == size


async def test_a_terminal_is_read_and_written_under_a_description_of_its_own() -> None:
    controller, end = pty.openpty()
    tty.setraw(end)
    with streams.opened_input(end) as stream, streams.opened_output(end) as out:
        os.write(controller, b"\x04key")
        assert await stream.read(100) == b"\x04key"
        await out.write(b"shown")
        assert os.read(controller, 100) == b"shown"
        assert os.get_blocking(end)
    os.close(controller)
    os.close(end)


@pytest.mark.parametrize("make", [os.pipe, lambda: tuple(reversed(pty.openpty()))[::-1]], ids=["pipe", "terminal"])
async def test_who_does_not_read_holds_up_the_writer_and_not_the_loop(make: object) -> None:
    assert callable(make)
    reading, writing = make()
    if os.isatty(writing):
        tty.setraw(writing)
    total = 512 * 1024
    got = bytearray()
    with streams.opened_output(writing) as out:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(out.write(bytes(range(256)) * (total // 256)))
            # The loop goes on, many rounds, while nothing is taken.
            for _ in range(100):
                await asyncio.sleep(0)
            assert not task.done()
            while len(got) < total:
                got += await asyncio.to_thread(os.read, reading, 65536)
    assert bytes(got) == bytes(range(256)) * (total // 256)
    os.close(reading)
    os.close(writing)


async def test_waiting_to_write_can_be_cancelled_and_a_broken_pipe_is_said() -> None:
    reading, writing = os.pipe()
    with streams.opened_output(writing) as out:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await out.write(bytes(1024 * 1024))
        os.close(reading)
        with pytest.raises(BrokenPipeError):
            await out.write(b"x")
    os.close(writing)


async def test_a_file_is_written_whole(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb", buffering=0) as file, streams.opened_output(file.fileno()) as out:
        await out.write(bytes(3_000_000))
        await out.write(memoryview(b"end"))
    assert (tmp_path / "file").stat().st_size == 3_000_003
