"""Small commands for tests of processes, and the patience to see what they do."""

import asyncio
import os
import sys
from collections.abc import Callable

from devloop.proc import child, lines

PATIENCE_S = 20.0

# Without site packages Python starts in a third of the time.
PYTHON = [sys.executable, "-I", "-S", "-u", "-c"]

IGNORES_TERM = [
    *PYTHON,
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); signal.pause()",
]
ENDS_ON_TERM = [
    *PYTHON,
    """if True:
    import signal, sys
    signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(3)))
    print('ready')
    signal.pause()
    """,
]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def start(argv: list[str], output: lines.LineQueue, *, cwd: str = "/", source: str = "app") -> child.Process:
    process = child.start(argv, cwd=cwd, env=dict(os.environ), output=output, source=source)
    assert isinstance(process, child.Process), process
    return process


class Reader:
    """Reads a queue line by line."""

    def __init__(self, output: lines.LineQueue) -> None:
        self._output = output
        self._waiting: list[lines.Line] = []
        self.dropped = 0

    async def next(self) -> lines.Line:
        async with asyncio.timeout(PATIENCE_S):
            while not self._waiting:
                taken = await self._output.take()
                assert taken is not None, "the queue is closed"
                self._waiting.extend(taken.lines)
                self.dropped += taken.dropped
        return self._waiting.pop(0)

    async def text(self) -> str:
        return (await self.next()).text

    async def until(self, wanted: Callable[[str], bool] | str) -> str:
        """Read on to the line that is, or satisfies, `wanted`."""
        while True:
            text = await self.text()
            if text == wanted or (callable(wanted) and wanted(text)):
                return text

    async def rest(self) -> list[str]:
        """Return what is there now, without waiting."""
        self._output.note("test", "end of test")
        texts = []
        while (line := await self.next()).source != "test":
            texts.append(line.text)
        return texts
