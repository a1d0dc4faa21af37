"""A command in a container with this process's own streams: `devloop exec` and `devloop shell`.

`devloop.shell.wrapper` says what runs there around the command, `devloop.kube.interactive` carries the bytes. Here they
are joined with the terminal: bytes both ways, its size, signals. A signal that this process gets is sent to the command
by a second exec; the command then ends as it likes, and its exit status is the result. Nothing is read from standard
input before the command runs, and nothing is printed but what the command prints.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from devloop import errors
from devloop.kube import channels, client, execute, interactive
from devloop.podspec import names
from devloop.shell import find, streams, terminal, wrapper

# From the shell's side: the container's own, and the one that devloop lends it.
OWN_SHELL: Final = ("sh",)
LENT_SHELL: Final = (names.BUSYBOX, "sh")

_SIGNALS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
# After so many signals that did not end the command it is killed, and with the next one left alone.
_KILL_AFTER: Final = 2
_KILL_TIMEOUT_S: Final = 10.0
# How long a command may take to end once the terminal is gone: nobody is there to see it.
_HANGUP_S: Final = 5.0
# Ctrl-D, the end of input on a terminal.
_END_OF_TEXT: Final = b"\x04"
_NOT_FOUND: Final = (126, 127)


class Job(msgspec.Struct, frozen=True):
    """What is to be run.

    Attributes:
        command: The program and its arguments.
        lent: The same where only the lent shell is there; empty for the same.
        folder: Where to run it, if it is there; empty for the container's own.
        tty: With a terminal.
        stdin: With standard input.
        is_shell: It makes no sense without any shell.
    """

    command: tuple[str, ...]
    lent: tuple[str, ...] = ()
    folder: str = ""
    tty: bool = False
    stdin: bool = False
    is_shell: bool = False


class Console(msgspec.Struct, frozen=True):
    """This process's side.

    Attributes:
        say: Takes a line for people.
        fds: Standard input, output and error.
    """

    say: Callable[[str], None]
    fds: tuple[int, int, int] = (0, 1, 2)


class _Left(Exception):
    """The command was left alone, and this process ends.

    Args:
        status: The exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Way(msgspec.Struct, frozen=True):
    """One way of running the command.

    Attributes:
        shell: What is around it; empty for nothing.
        protocols: What may be spoken.
        stdin: How the shell hands standard input on.
    """

    shell: tuple[str, ...]
    protocols: tuple[str, ...]
    stdin: wrapper.Stdin = wrapper.Stdin.PLAIN


async def run(api: client.Client, found: find.Found, job: Job, console: Console) -> int:
    """Run a command to its end, and return its exit status.

    Args:
        api: The cluster.
        found: The container.
        job: The command.
        console: Where its bytes come from and go to.

    Raises:
        NotRunError: It was not started; with `missing` where the container has no such program.
        CutError: The connection ended before it did.
        ClusterError: See `Client.websocket`.
        LocalError: What it printed cannot be written.
    """
    with contextlib.ExitStack() as stack:
        runner = _Runner(api, found, job, console, stack)
        return await runner.run()


class _Runner:
    def __init__(
        self, api: client.Client, found: find.Found, job: Job, console: Console, stack: contextlib.ExitStack
    ) -> None:
        self._api, self._found, self._job, self._console = api, found, job, console
        self._name = f"{job.command[0]} in {found.where.pod}"
        stdin, stdout, stderr = console.fds
        self._input = stack.enter_context(streams.opened_input(stdin)) if job.stdin else None
        self._outputs = {
            channels.STDOUT: stack.enter_context(streams.opened_output(stdout)),
            channels.STDERR: stack.enter_context(streams.opened_output(stderr)),
        }
        self._terminal = terminal.Terminal(stdin if os.isatty(stdin) else stdout) if job.tty else None
        self._has_keys = job.stdin and os.isatty(stdin)
        self._stack = stack
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue(16)
        self._resized = asyncio.Event()
        stack.enter_context(self._watching())
        self._told: wrapper.Told | None = None
        self._running = asyncio.Event()
        self._command_ended = asyncio.Event()

    async def run(self) -> int:
        """See `run`."""
        ways = await self._ways()
        while True:
            way = ways.pop(0)
            try:
                return await self._attempt(way)
            except errors.NotRunError as error:
                # Only what the shell itself lacks is a reason to try another one.
                if not (way.shell and error.missing and self._told is None and ways):
                    raise
            except (errors.ForbiddenError, errors.RefusedError):
                # Servers that do not know the protocol refuse with 400 or 403, and so do those that deny the exec.
                if channels.V4 in way.protocols:
                    raise
                ways = self._shells((channels.V4,), wrapper.Stdin.FRAMED)

    async def _ways(self) -> list[_Way]:
        if not self._job.stdin or self._job.tty:
            return self._shells((channels.V5, channels.V4), wrapper.Stdin.PLAIN)
        version = await self._api.version()
        if version.at_least(*interactive.V5_SINCE):
            return self._shells((channels.V5,), wrapper.Stdin.ENDED)
        return self._shells((channels.V4,), wrapper.Stdin.FRAMED)

    def _shells(self, protocols: tuple[str, ...], stdin: wrapper.Stdin) -> list[_Way]:
        shells = [OWN_SHELL, *([LENT_SHELL] if self._found.tools else [])]
        ways = [_Way(shell, protocols, stdin) for shell in shells]
        return ways if self._job.is_shell else [*ways, _Way((), protocols)]

    async def _attempt(self, way: _Way) -> int:
        nonce = secrets.token_hex(8)
        self._way = way
        self._line = wrapper.Announcement(nonce) if way.shell else None
        self._told = None
        self._running.clear()
        self._command_ended.clear()
        command = self._job.lent if way.shell == LENT_SHELL and self._job.lent else self._job.command
        if way.shell:
            command = wrapper.argv(way.shell, nonce, command, folder=self._job.folder, stdin=way.stdin)
        else:
            self._begin()
        asked = interactive.Asked(command, self._name, self._job.stdin, self._job.tty)
        failed: Exception | None = None
        try:
            async with interactive.opened(self._api, self._found.where, asked, way.protocols) as session:
                try:
                    async with asyncio.TaskGroup() as group:
                        others = [group.create_task(each) for each in self._others(session)]
                        status = await self._receive(session)
                        for other in others:
                            other.cancel()
                    return status
                except* (errors.DevloopError, _Left) as several:
                    failed = _first(several)
                raise failed
        except _Left as left:
            return left.status

    def _others(self, session: interactive.Session) -> Iterator[asyncio._CoroutineLike[None]]:
        yield self._obey()
        if self._job.stdin:
            yield self._feed(session)
        if self._terminal is not None:
            self._resized.set()
            yield self._resize(session, self._terminal)

    # ---- what comes from there

    async def _receive(self, session: interactive.Session) -> int:
        speaking = channels.STDOUT if self._job.tty else channels.STDERR
        while not isinstance(piece := await session.receive(), int):
            if self._line is None or piece.channel != speaking:
                await self._give(session, piece.channel, piece.data)
                continue
            data = self._line.feed(piece.data)
            if self._told is None and self._line.told is not None:
                self._told = self._line.told
                if self._told.pid:
                    self._begin()
            if self._line.ended:
                # Who waits for more input need not wait any longer.
                self._command_ended.set()
            await self._give(session, piece.channel, data)
        return await self._ended(session, piece, speaking)

    def _begin(self) -> None:
        """From now on the terminal and standard input are the command's; until now Ctrl-C was for us."""
        self._running.set()
        if self._terminal is not None and self._has_keys:
            self._stack.enter_context(self._terminal.raw())

    async def _give(self, session: interactive.Session, channel: int, data: bytes | memoryview) -> None:
        try:
            with session.held():
                await self._outputs[channel].write(data)
        except BrokenPipeError:
            # As a pipeline on this machine: who writes to nobody is told so, and ends.
            await self._kill("PIPE")
            raise _Left(128 + signal.SIGPIPE) from None
        except OSError as error:
            await self._kill("HUP")
            raise errors.LocalError(f"what the command prints cannot be written: {error.strerror}") from None

    async def _ended(self, session: interactive.Session, status: int, speaking: int) -> int:
        if self._told is not None and not self._told.pid:
            raise self._missing()
        if self._line is not None and self._told is None and status in _NOT_FOUND:
            # Some runtimes tell with an exit status that there is no such program: the shell, here.
            raise errors.NotRunError(f"{self._name} could not be run", missing=True)
        if self._line is not None:
            await self._give(session, speaking, self._line.rest())
        return status

    def _missing(self) -> errors.NotRunError:
        name, where = self._job.command[0], self._found.where
        return errors.NotRunError(
            f"there is no program {name} in container {where.container} of {where.pod}",
            hint=f"exit status 127; it is searched on the container's own PATH, and not by a shell: "
            f"for a line of shell write `-- sh -c '{name} …'`",
            missing=True,
        )

    # ---- what goes there

    async def _feed(self, session: interactive.Session) -> None:
        """Send standard input. A way that is closed is told by what is received, not here."""
        assert self._input is not None
        await self._running.wait()
        framed = self._told is not None and self._told.framed
        with contextlib.suppress(errors.CutError):
            while data := await self._read(self._input):
                await session.send(wrapper.frame(data) if framed else data)
            if self._job.tty:
                await session.send(_END_OF_TEXT)
            elif framed:
                await session.send(wrapper.END)
            elif session.ends_stdin:
                await session.end_stdin()
            else:
                self._console.say(
                    "this cluster cannot tell the command that its input has ended (Kubernetes before 1.30), and the "
                    "container has no shell with `dd` that could; Ctrl-C ends it"
                )

    async def _read(self, stream: streams.Input) -> bytes:
        """Return more of standard input; nothing at its end, and when the command has ended."""
        if self._command_ended.is_set():
            return b""

        async def read() -> bytes:
            # A terminal that is gone has no more keys; that it is gone is told by a signal.
            with contextlib.suppress(OSError):
                return await stream.read(interactive.CHUNK_BYTES)
            return b""

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            ending = group.create_task(self._command_ended.wait())
            await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            # What was read already is sent, so that nothing is lost between the two.
            if reading.done():
                return reading.result()
            reading.cancel()
        return b""

    async def _resize(self, session: interactive.Session, mine: terminal.Terminal) -> None:
        with contextlib.suppress(errors.CutError):
            while True:
                await self._resized.wait()
                self._resized.clear()
                size = mine.size()
                if size is not None:
                    await session.resize(*size)

    # ---- signals

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handled: dict[signal.Signals, Callable[[], None]] = {
            number: functools.partial(self._take, number) for number in _SIGNALS
        }
        if self._terminal is not None:
            handled |= {signal.SIGWINCH: self._resized.set, signal.SIGCONT: self._continued, signal.SIGTSTP: self._stop}
        for number, handler in handled.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    def _take(self, number: signal.Signals) -> None:
        # Who sends more than fit has been heard.
        with contextlib.suppress(asyncio.QueueFull):
            self._signals.put_nowait(number)

    def _stop(self) -> None:
        assert self._terminal is not None
        self._terminal.stop()
        self._resized.set()

    def _continued(self) -> None:
        assert self._terminal is not None
        self._terminal.resumed()
        self._resized.set()

    async def _obey(self) -> None:
        """Hand the signals on that this process gets."""
        count = 0
        while True:
            number = await self._signals.get()
            count += 1
            if not self._running.is_set():
                raise _Left(128 + number)
            if count > _KILL_AFTER + 1 or not await self._kill(
                "KILL" if count > _KILL_AFTER else number.name.removeprefix("SIG")
            ):
                self._console.say(f"left {self._name}, which may still run there")
                raise _Left(128 + number)
            if number is signal.SIGHUP:
                await asyncio.sleep(_HANGUP_S)
                raise _Left(128 + number)

    async def _kill(self, name: str) -> bool:
        """Signal the command; say whether somebody was there to do it."""
        if self._told is None or not self._told.pid:
            return False
        argv = wrapper.kill_argv(self._way.shell, self._told.pid, name)
        try:
            # One that has ended meanwhile is well, too.
            await execute.run(self._api, self._found.where, argv, timeout_s=_KILL_TIMEOUT_S)
        except errors.ClusterError as error:
            self._console.say(f"{self._name} cannot be signalled: {error.message}")
            return False
        return True


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    """Return the error that counts: being left before any other."""
    flat: list[Exception] = []
    todo: list[BaseException] = [group]
    while todo:
        each = todo.pop(0)
        if isinstance(each, BaseExceptionGroup):
            todo += each.exceptions
        elif isinstance(each, Exception):
            flat.append(each)
    return next((each for each in flat if isinstance(each, _Left)), flat[0])
