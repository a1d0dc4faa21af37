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
from typing import Final, NoReturn

import msgspec

import devloop
from devloop import errors
from devloop.transport import dial
from devloop.wire import websocket

# How long the agent may take to open its roots: verifying 100,000 files takes about a second.
START_TIMEOUT_S: Final = 60.0

# How long an agent that is still in the target's folder may take to end, when the one who started it was killed: it
# ends the app first, and that takes the app's grace period.
BUSY_TIMEOUT_S: Final = 30.0

# How long it may take to end itself, besides its app's grace period, before it is killed.
STOP_TIMEOUT_S: Final = 10.0

# The agent logs what goes wrong only; this is a lot of it.
MAX_LOG_BYTES: Final = 1024 * 1024

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
        grace_s: How long the app may take to end.
    """

    def __init__(
        self, folder: str, tos: Sequence[str], socket_path: str, log_path: str, *, grace_s: float = 0.0
    ) -> None:
        self.name = folder
        self.container: None = None
        self._folder = folder
        self._tos = tuple(tos)
        self._socket_path = socket_path
        self._log_path = log_path
        self._stop_timeout_s = STOP_TIMEOUT_S + grace_s
        self._busy_since_s: float | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[websocket.WebSocket, bytes]]:
        """Start the agent and connect to it; on leaving, end it.

        Yields:
            The connection, and the agent's key.

        Raises:
            AgentError: It refused its roots, or did not start.
            LinkError: It started and cannot be reached, or was killed while it started.
            LocalError: It cannot be started on this machine.
        """
        process = await self._spawn()
        try:
            key = await self._wait_ready(process)
            yield await dial.unix(self._socket_path), key
        finally:
            await _end(process, self._stop_timeout_s)

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
        try:
            log = _open_log(self._log_path)
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
        except OSError as error:
            raise errors.LocalError(
                f"the agent of {self._folder} cannot be started: {error.strerror or error}", code="DL0603"
            ) from error

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> bytes:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                return await self._hear(process)
        except TimeoutError as error:
            raise errors.AgentError(
                f"the agent of {self._folder} did not start within {START_TIMEOUT_S:.0f} s",
                hint=f"see {self._log_path}",
                code="DL0601",
            ) from error
        except (msgspec.MsgspecError, ValueError, OSError) as error:
            raise errors.AgentError(
                f"the agent of {self._folder} did not say how to reach it: {error}",
                hint=f"see {self._log_path}",
                code="DL0602",
            ) from error

    async def _hear(self, process: asyncio.subprocess.Process) -> bytes:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            await self._ended_early(process)
        said = msgspec.json.decode(line, type=_Said)
        if said.error is not None:
            refused = errors.AgentError(said.error.message, hint=said.error.hint, code=said.error.code)
            refused.exit_status = errors.Exit(said.error.exit)
            self._raise_unless_ending(refused)
        self._busy_since_s = None
        return Path(said.key_file).read_bytes()

    async def _ended_early(self, process: asyncio.subprocess.Process) -> NoReturn:
        if await process.wait() < 0:
            # Somebody killed it, which says nothing against the next one.
            raise errors.LinkError(f"the agent of {self._folder} was killed while it started")
        raise errors.AgentError(
            f"the agent of {self._folder} ended before it was ready", hint=f"see {self._log_path}", code="DL0602"
        )

    def _raise_unless_ending(self, error: errors.AgentError) -> NoReturn:
        """Raise what an agent refused with; as something that passes while its predecessor may still be ending."""
        now_s = asyncio.get_running_loop().time()
        if error.error_code != errors.AgentError.BUSY:
            raise error
        if self._busy_since_s is None:
            self._busy_since_s = now_s
        if now_s - self._busy_since_s > BUSY_TIMEOUT_S:
            raise error
        raise errors.LinkError(error.message, hint=error.hint) from error


class _Refused(msgspec.Struct, frozen=True):
    """Why the agent does not start, and the exit status that this means."""

    message: str
    hint: str
    code: str
    exit: int = 1


class _Said(msgspec.Struct, frozen=True):
    """The one line that the agent says on its standard output."""

    key_file: str = ""
    error: _Refused | None = None


def _open_log(path: str) -> int:
    """Open the agent's log for appending; one that has become long makes room, and stays as `.1`.

    Raises:
        OSError: The disk refused.
    """
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size > MAX_LOG_BYTES:
            os.replace(path, f"{path}.1")
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


async def _end(process: asyncio.subprocess.Process, timeout_s: float) -> None:
    """End the agent: it ends with its standard input; what does not is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(timeout_s):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
