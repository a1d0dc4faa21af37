"""This process's own standard streams, without holding up the loop and without changing them for others.

A terminal or a pipe is shared with the shell that started us, so it must not be set non-blocking. A terminal is
therefore opened once more, under a description of its own; a pipe is asked whether it is ready, and given no more than
it then takes. What is read is read only when somebody waits for it: what comes later stays for whoever reads next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
from collections.abc import Callable, Iterator
from typing import Any, Final

# What a pipe that is writable takes without blocking: PIPE_BUF is 4096 on Linux and 512 on macOS.
_PIPE_BYTES: Final = select.PIPE_BUF

_Watch = Callable[..., Any]


class Input:
    """A stream to read, made by `opened_input`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def read(self, size: int) -> bytes:
        """Return what there is, at most `size` bytes; empty at the end. Cancelling takes nothing.

        Raises:
            OSError: The terminal is gone.
        """
        loop = asyncio.get_running_loop()
        while True:
            await _ready(self._fd, loop.add_reader, loop.remove_reader)
            with contextlib.suppress(BlockingIOError):
                return os.read(self._fd, size)


class Output:
    """A stream to write, made by `opened_output`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        kind = os.fstat(fd).st_mode
        self._step = 1 << 30 if stat.S_ISREG(kind) or not os.get_blocking(fd) else _PIPE_BYTES

    async def write(self, data: bytes | memoryview) -> None:
        """Write all of it; wait while nobody takes it.

        Raises:
            BrokenPipeError: Nobody will ever take it.
            OSError: The disk is full, the terminal is gone.
        """
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        while rest:
            if not select.select((), (self._fd,), (), 0)[1]:
                await _ready(self._fd, loop.add_writer, loop.remove_writer)
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self._fd, rest[: self._step]) :]


@contextlib.contextmanager
def opened_input(fd: int) -> Iterator[Input]:
    """Read a stream of this process.

    Args:
        fd: 0, or another one in a test.
    """
    with _own(fd, os.O_RDONLY) as own:
        yield Input(own)


@contextlib.contextmanager
def opened_output(fd: int) -> Iterator[Output]:
    """Write a stream of this process. Two of them may be one terminal.

    Args:
        fd: 1 or 2, or another one in a test.
    """
    with _own(fd, os.O_WRONLY) as own:
        yield Output(own)


@contextlib.contextmanager
def _own(fd: int, flags: int) -> Iterator[int]:
    """Lend a descriptor of the same stream that may be watched by the loop beside others."""
    own = -1
    if os.isatty(fd):
        # The name may lead nowhere, where the terminal is of another mount namespace.
        with contextlib.suppress(OSError):
            own = os.open(os.ttyname(fd), flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if own < 0:
        own = os.dup(fd)
    try:
        yield own
    finally:
        os.close(own)


async def _ready(fd: int, add: _Watch, remove: _Watch) -> None:
    ready = asyncio.get_running_loop().create_future()
    try:
        add(fd, _settle, ready)
    except PermissionError:
        # epoll takes no regular files: they are always ready (epoll_ctl(2)).
        await asyncio.sleep(0)
        return
    try:
        await ready
    finally:
        remove(fd)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
