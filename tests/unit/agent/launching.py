"""The real launcher under the real busybox, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agent import tools

PATIENCE_S = 20.0


def _find_busybox() -> str:
    found = (os.environ.get("DEVLOOP_BUSYBOX"), "/usr/share/devloop/busybox", shutil.which("busybox"))
    for path in filter(None, found):
        if os.path.exists(path) and not tools.needs_libraries(path):
            return path
    return ""


BUSYBOX = _find_busybox()

needs_busybox = pytest.mark.skipif(
    not BUSYBOX, reason="needs a static busybox: apt-get install busybox-static, or set DEVLOOP_BUSYBOX"
)


def _may_unshare() -> bool:
    asked = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(asked, capture_output=True).returncode == 0


IN_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

needs_namespaces = pytest.mark.skipif(not _may_unshare(), reason="may not make a PID namespace here: run as root")


async def until(condition: Callable[[], Any], what: str) -> Any:
    """Ask again and again until the answer is true, and return it."""
    answer = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (answer := condition()):
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited in vain for: {what}") from None
    return answer


class Launched:
    """A launcher that runs, what it prints, and what it tells."""

    def __init__(self, run: Path, process: subprocess.Popen[bytes], printed: asyncio.StreamReader) -> None:
        self.run = run
        self.process = process
        self.printed = printed
        self.heard: list[str] = []
        self.hidden = False

    async def line(self) -> str:
        """Return the next line that the app or the launcher prints."""
        async with asyncio.timeout(PATIENCE_S):
            line = (await self.printed.readline()).decode().rstrip("\n")
        self.heard.append(line)
        return line

    async def hears(self, *lines: str) -> None:
        """Expect exactly these lines next."""
        assert [await self.line() for _ in lines] == list(lines), self.heard

    def state(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.run / "state").read_text().split()
        return []

    async def phase(self, phase: str, starts: int) -> list[str]:
        """Wait for a phase of a certain start, and return the whole state."""

        def there() -> list[str]:
            state = self.state()
            return state if state and (state[0], state[2]) == (phase, str(starts)) else []

        found: list[str] = await until(there, f"{phase} {starts}, not {self.state()}")
        return found

    def order(self, text: str) -> None:
        fd = os.open(self.run / "ctl", os.O_WRONLY | os.O_NONBLOCK)
        os.write(fd, text.encode() + b"\n")
        os.close(fd)

    async def ended(self) -> int:
        await until(lambda: self.process.poll() is not None, "the launcher's end")
        return self.process.wait()


@contextlib.asynccontextmanager
async def launched(
    folder: Path, *command: str, options: tuple[str, ...] = (), before: tuple[str, ...] = (), grace: str = "30"
) -> AsyncIterator[Launched]:
    """Run a command under the launcher; standard error comes among the lines of standard output."""
    run = folder / "run"
    run.mkdir(exist_ok=True)
    toolbox = folder / "tools"
    tools.install(str(toolbox), BUSYBOX)
    argv = [str(toolbox / "busybox"), "sh", str(toolbox / "launcher.sh"), "--run", str(run), "--grace", grace]
    whole = [*before, *argv, *options, "--", *command]
    async with launched_as(run, whole, hidden=before[:1] == IN_NAMESPACE[:1]) as subject:
        yield subject


@contextlib.asynccontextmanager
async def launched_as(run: Path, argv: list[str], *, hidden: bool = False) -> AsyncIterator[Launched]:
    """Run a whole command line that leads to the launcher.

    Args:
        run: The launcher's folder, as it is seen here.
        argv: The command line.
        hidden: It runs in a PID namespace of its own, and all that it started ends with it.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    printed = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(printed), process.stdout
    )
    subject = Launched(run, process, printed)
    subject.hidden = hidden
    try:
        yield subject
    finally:
        _put_away(subject)
        pipe.close()


def _put_away(subject: Launched) -> None:
    """End the launcher and whatever it has started, which is in sessions of its own."""
    if subject.process.poll() is None:
        subject.process.kill()
        subject.process.wait(PATIENCE_S)
    state = subject.state()
    groups = [state[1]] if len(state) > 1 else []
    groups += [file.read_text().strip() for file in subject.run.glob("pid.*")]
    for group in groups:
        # In a PID namespace the numbers mean something else, and everything ended with the first process.
        if group.isdigit() and int(group) > 1 and not subject.hidden:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(group), signal.SIGKILL)
