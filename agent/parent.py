"""Noticing that the process that started the agent is gone, however it ended.

The parent holds the writing end of a pipe, and never writes; the kernel closes it with the parent, also on SIGKILL. A
pipe works on every system, has no race with a parent that is gone before anyone looks, and is not fooled by a new
parent (a subreaper), which a look at getppid is.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

_READ_BYTES: Final = 4096


async def parent_gone(fd: int) -> None:
    """Wait until every writing end of a pipe is closed. What is written to it is ignored.

    Args:
        fd: The reading end of a pipe, or a socket, such as standard input; it becomes non-blocking and stays
            open. Children must not inherit its other end.

    Raises:
        OSError: It is a plain file or /dev/null, whose end says nothing about a parent.
    """
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()

    def read() -> None:
        try:
            if not os.read(fd, _READ_BYTES):
                gone.set()
        except BlockingIOError:
            return
        except OSError:
            # A socket whose peer was killed is reset.
            gone.set()

    os.set_blocking(fd, False)
    loop.add_reader(fd, read)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(fd)
