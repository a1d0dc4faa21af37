"""The target `local: DIR`: the agent as a subprocess of this one, over a unix socket.

The very same agent and protocol as in a pod; only the way in differs. The target's folder holds one folder for each
sync, by its `to`, and devloop's own in `.devloop`: the marker, the stages, the agent's state. The agent watches its
standard input: when it ends, because this process ended in whatever way, the agent ends the app and itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import devloop
from devloop import errors
from devloop.transport import dial

# How long the agent may take to open its roots: verifying 100,000 files takes about a second.
START_TIMEOUT_S: Final = 60.0

# How long it may take to end the app (its own grace period) and itself before it is killed.
STOP_TIMEOUT_S: Final = 15.0

# The agent that stands beside this very package, whatever a project calls its own folders: `python -m agent` in a
# project with an `agent` folder would run that.
_RUN: Final = "import sys; sys.path.insert(0, sys.argv.pop(1)); from agent.__main__ import main; main()"


class LocalTarget:
    """One service's target on this machine.

    Args:
        folder: The target's folder, absolute.
        tos: The syncs' `to`, in order.
        socket_path: Where the agent is to listen; short enough for a unix socket.
        log_path: Where the agent's own log goes.
    """

    def __init__(self, folder: str, tos: Sequence[str], socket_path: str, log_path: str) -> None:
        self.name = folder
        self._folder = folder
        self._tos = tuple(tos)
        self._socket_path = socket_path
        self._log_path = log_path

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[dial.WebSocket, bytes]]:
        """Start the agent and connect to it; on leaving, end it.

        Yields:
            The connection, and the agent's key.

        Raises:
            AgentError: It refused its roots, or did not start.
            LinkError: It started and cannot be reached.
        """
        process = await self._spawn()
        try:
            key = await self._wait_ready(process)
            yield await dial.unix(self._socket_path), key
        finally:
            await _end(process)

    def _arguments(self) -> list[str]:
        own = Path(self._folder, ".devloop")
        roots = [
            {
                "to": to,
                "data": str(Path(self._folder, to.lstrip("/"))),
                "stage": str(own / f"stage-{index}"),
                "state": str(own / f"state-{index}"),
            }
            for index, to in enumerate(self._tos)
        ]
        return [
            "serve",
            "--roots", json.dumps(roots),
            "--target", self._folder,
            "--state", str(own / "agent"),
            "--socket", self._socket_path,
            "--lifeline",
        ]  # fmt: skip

    async def _spawn(self) -> asyncio.subprocess.Process:
        package_root = str(Path(devloop.__file__).resolve().parent.parent)
        log = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-c", _RUN, package_root, *self._arguments(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                # A Ctrl-C in the terminal is for us; we end the agent in our own order.
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> bytes:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await process.stdout.readline()
        except TimeoutError as error:
            raise errors.AgentError(
                f"the agent of {self._folder} did not start within {START_TIMEOUT_S:.0f} s",
                hint=f"see {self._log_path}",
                code="DL0601",
            ) from error
        try:
            said = json.loads(line)
        except ValueError as error:
            raise errors.AgentError(
                f"the agent of {self._folder} ended before it was ready",
                hint=f"see {self._log_path}",
                code="DL0602",
            ) from error
        if "error" in said:
            wrong = said["error"]
            refused = errors.AgentError(wrong["message"], hint=wrong["hint"], code=wrong["code"])
            refused.exit_status = errors.Exit(wrong["exit"])
            raise refused
        return Path(said["key_file"]).read_bytes()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the agent: it ends with its standard input; what does not is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
