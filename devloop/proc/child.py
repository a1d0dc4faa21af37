"""Starting a command in a session of its own, and seeing it to its end.

A child gets its own session and process group, no terminal and no standard input, so that Ctrl-C in the terminal
reaches devloop alone and a signal reaches all that the command started.

The process is started and reaped here rather than by asyncio's own subprocesses: those need a thread for each child
on Python 3.11, take several turns of the loop to start one, and have no word for the group, which may outlive its
leader. From the end of an app to the next one's start this takes one millisecond, the spawning itself.

A child is not tied to its parent's life by the kernel. `PR_SET_PDEATHSIG` would need code between fork and exec, which
is unsafe with threads and three times as slow to spawn (2.6 ms against 1.0 ms), or a wrapper in Python, which costs
10 ms before the app even starts; and it ends the leader only. Instead the agent watches its own parent
(`agent.parent`), and what a killed agent left behind is ended by the next one (`group.end_stale`).
"""

from __future__ import annotations

import asyncio
import errno as errnos
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from devloop.proc import group, lines, pipes
from devloop.proc import identity as identities

DEFAULT_GRACE_S: Final = 5.0

# Trouble that passes by itself: too many processes or files, no memory, a binary that is being written.
_PASSING: Final = frozenset(
    {errnos.EAGAIN, errnos.ENOMEM, errnos.EMFILE, errnos.ENFILE, errnos.ETXTBSY, errnos.EINTR, errnos.EIO}
)


class StartFailure(msgspec.Struct, frozen=True):
    """Why a command could not be started.

    Attributes:
        message: What happened, for people.
        hint: What to do about it; may be empty.
        errno: The system's error number, or 0.
        lasting: Trying again changes nothing as long as nothing else changes.
    """

    message: str
    hint: str = ""
    errno: int = 0
    lasting: bool = True


class Process:
    """A started command: its leader, its group, its output.

    Made by `start`. Whoever has one must see it to its end with `gone`, `end` or `abandon`.

    Attributes:
        identity: Who it is; `identity.pid` is the id of the leader and of the group.
    """

    def __init__(self, popen: subprocess.Popen[bytes], identity: identities.Identity, ends: list[pipes.Pipe]) -> None:
        self.identity = identity
        self._popen = popen
        self._pipes = ends

    @property
    def pid(self) -> int:
        """The process id of the leader."""
        return self.identity.pid

    async def exited(self) -> int:
        """Wait for the leader to end, and reap it. Others of its group may live on.

        Returns:
            Its exit status, as `devloop.core.exits` describes it.
        """
        while (status := self._popen.poll()) is None:
            await group.end_of(self.pid)
        return status

    async def gone(self) -> int:
        """Wait until the whole group has ended; then all its output is in the queue, and nothing is left open.

        Returns:
            The leader's exit status.
        """
        status = await self.exited()
        await group.empty(self.identity)
        self._close()
        return status

    def send(self, number: int) -> bool:
        """Send a signal to the whole group; say whether there still is one."""
        return group.send(self.identity, number)

    def send_leader(self, number: int) -> bool:
        """Send a signal to the leader only; say whether it still exists."""
        return group.send_leader(self.identity, number)

    async def end(self, grace_s: float = DEFAULT_GRACE_S, number: int = signal.SIGTERM) -> int | None:
        """End the whole group: the signal, a time of grace, then KILL. When cancelled, KILL at once.

        Args:
            grace_s: Seconds between the signal and KILL.
            number: The first signal.

        Returns:
            The leader's exit status, or None when even KILL did not end the group.
        """
        self.send(number)
        for wait_s in (grace_s, group.KILL_WAIT_S):
            try:
                async with asyncio.timeout(wait_s):
                    return await self.gone()
            except TimeoutError:
                self.send(signal.SIGKILL)
            except asyncio.CancelledError:
                self.abandon()
                raise
        self.abandon()
        return None

    def abandon(self) -> None:
        """Kill the group without waiting for it, and close everything: the way out when there is no time left."""
        self.send(signal.SIGKILL)
        try:
            # The leader is reaped if it ends at once, as it nearly always does, so that no zombie stays.
            self._popen.wait(0.1)
        except subprocess.TimeoutExpired:
            # Nothing waits for it any more, so Python need not warn that nobody did.
            self._popen.returncode = -signal.SIGKILL
        self._close()

    def _close(self) -> None:
        for pipe in self._pipes:
            pipe.close()


def start(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str] | None,
    output: lines.LineQueue,
    source: str,
    rewrite: pipes.Rewrite | None = None,
    stdin: int = subprocess.DEVNULL,
) -> Process | StartFailure:
    """Start a command. Blocks until it is executing, about a millisecond; needs a running event loop.

    Args:
        argv: The command and its arguments; a name without `/` is looked up on the PATH of `env`.
        cwd: The folder it runs in.
        env: Its complete environment; None for this process's own. Nothing is added: a Python app that is to print at
            once, though its output is a pipe, needs PYTHONUNBUFFERED=1 in it.
        output: Where its lines go.
        source: The name they carry.
        rewrite: What is done to the text of each line.
        stdin: A descriptor, or `subprocess.DEVNULL`.

    Returns:
        The process, or why there is none.
    """
    if not argv or not argv[0]:
        return StartFailure("the command is empty", "give it at least a program", errnos.EINVAL)
    try:
        # `stdin` may be a descriptor of the caller; every other one is closed in the child.
        popen = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        return _failure(argv[0], cwd, error)
    except ValueError as error:
        return StartFailure(f"the command cannot be passed to the system: {error}", errno=errnos.EINVAL)
    identity = identities.of(popen.pid)
    # A child that was not reaped yet has an entry in the process table, if only as a zombie.
    assert identity is not None and popen.stdout is not None and popen.stderr is not None
    ends = [
        pipes.Pipe(os.dup(file.fileno()), source, stream, output, rewrite)
        for file, stream in ((popen.stdout, lines.Stream.STDOUT), (popen.stderr, lines.Stream.STDERR))
    ]
    popen.stdout.close()
    popen.stderr.close()
    return Process(popen, identity, ends)


def _failure(program: str, cwd: str, error: OSError) -> StartFailure:
    """Tell the several meanings of one error number apart by looking at the disk."""
    number = error.errno or 0
    path = os.path.join(cwd, program)
    message, hint = f"{program}: {error.strerror or error}", ""
    if not os.path.isdir(cwd):
        message, hint = f"the folder to run in does not exist: {cwd}", "check `workdir` and the first sync's `to`"
    elif not os.access(cwd, os.X_OK):
        message, hint = f"the folder to run in is not accessible: {cwd}", "check the rights of the folder"
    elif number == errnos.ENOENT and "/" in program and os.path.lexists(path):
        message = f"{program}: its interpreter does not exist"
        hint = "check the first line of the script (#!), and that it does not end with a carriage return"
    elif number == errnos.ENOENT:
        message = f"command not found: {program}"
        hint = "is it installed where the app runs, and on its PATH?"
    elif number == errnos.EACCES:
        message, hint = f"{program}: not executable", f"chmod +x {program}, or name its interpreter in the command"
    elif number == errnos.ENOEXEC:
        message, hint = (
            f"{program}: not a program",
            "a script needs #! in its first line; a binary, this machine's kind",
        )
    elif number == errnos.E2BIG:
        message, hint = "the command and its environment are too long for the system", "pass less in `env`"
    return StartFailure(message, hint, number, number not in _PASSING)
