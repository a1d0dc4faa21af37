"""Noticing that the parent is gone."""

import asyncio
import os

import pytest

from agent import parent
from tests.unit.proc.commands import PATIENCE_S


async def test_the_end_of_the_pipe_is_the_end_of_the_parent() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"not the end")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(parent.parent_gone(reading))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done(), "what is written is not the end"
        os.close(writing)
    os.close(reading)


async def test_a_parent_that_is_gone_already_is_noticed() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    async with asyncio.timeout(PATIENCE_S):
        await parent.parent_gone(reading)
    os.close(reading)


async def test_a_file_says_nothing_about_a_parent() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    with pytest.raises(PermissionError):
        await parent.parent_gone(fd)
    os.close(fd)
