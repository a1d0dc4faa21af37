"""Hooks and reload commands where a launcher in the app's own container runs them: see `agent.hooks` and `agent.ctl`.

Each is a script in the launcher's folder that changes to its folder, sets its variables and becomes the command. Its
lines come through two fifos, so that nothing that it prints fills the volume; its exit status is a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shlex
from collections.abc import Iterable
from typing import Final

from agent import ctl, hooks
from devloop.core import exits
from devloop.proc import group, lines, pipes

# How long a launcher may be away when a hook is to run: its container is being replaced.
LAUNCHER_WAIT_S: Final = 30.0

# How often the exit status is looked for. Lines come as they are printed.
LOOK_S: Final = 0.02

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILES: Final = ("cmd", "out", "err", "pid", "status")
_NOT_FOUND: Final = 127


class RemoteHooks:
    """The hooks of one service, no two of them at once; has the verb of `hooks.Hooks`.

    What an earlier agent left running is ended, as nobody can be told any more what came of it.

    Args:
        control: The launcher's folder.
        output: Where their lines go.
    """

    def __init__(self, control: ctl.Control, output: lines.LineQueue) -> None:
        self._control = control
        self._output = output
        self._turn = asyncio.Lock()
        with contextlib.suppress(OSError):
            for name in os.listdir(control.folder):
                if name.startswith("cmd."):
                    self._put_away(name.removeprefix("cmd."))

    async def run(self, specs: Iterable[hooks.HookSpec]) -> tuple[hooks.HookResult, ...]:
        """Run commands one after the other, after those of earlier calls; when cancelled, end the one that runs."""
        async with self._turn:
            return tuple([await self._run(spec) for spec in specs])

    async def _run(self, spec: hooks.HookSpec) -> hooks.HookResult:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        ident = secrets.token_hex(8)
        try:
            status, failure = await self._run_script(ident, script(spec), spec)
        except (OSError, ValueError) as error:
            status, failure = None, f"the launcher's folder {self._control.folder}: {error}"
        finally:
            self._put_away(ident)
        return hooks.HookResult(spec.name, status, round((loop.time() - began_s) * 1000), failure)

    async def _run_script(self, ident: str, text: str, spec: hooks.HookSpec) -> tuple[int | None, str]:
        with contextlib.ExitStack() as stack:
            for name, stream in (("out", lines.Stream.STDOUT), ("err", lines.Stream.STDERR)):
                os.mkfifo(self._control.path(f"{name}.{ident}"), 0o660)
                # Opened for both, a fifo has no end until it is closed here, and needs nobody else to be opened.
                flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
                fd = os.open(self._control.path(f"{name}.{ident}"), flags)
                pipe = pipes.Pipe(fd, spec.name, stream, self._output, None)
                stack.callback(pipe.close)
            self._control.write(f"cmd.{ident}", text)
            if not await self._given(f"run {ident}"):
                return None, "the app's container does not run, or runs without the launcher: nothing was started"
            return await self._followed(ident, spec)

    async def _given(self, order: str) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAUNCHER_WAIT_S):
                while True:
                    if self._control.order(order):
                        return True
                    await asyncio.sleep(LOOK_S)
        return False

    async def _followed(self, ident: str, spec: hooks.HookSpec) -> tuple[int | None, str]:
        """See a script to its end: by itself, by TERM, or by KILL."""
        failure = ""
        for wait_s, then in ((spec.timeout_s, "TERM"), (spec.grace_s, "KILL"), (group.KILL_WAIT_S, "")):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    status = await self._status(ident)
                if status is None:
                    return None, "the app's container ended meanwhile"
                if status == _NOT_FOUND and not failure:
                    failure = f"exit {status} (is {spec.argv[0]} installed where the app runs, and on its PATH?)"
                return status, failure or (exits.describe(status) if status else "")
            if then:
                failure = failure or f"did not end within {spec.timeout_s:g} s"
                self._control.order(f"kill {then} {ident}")
        return None, "does not end after SIGKILL"

    async def _status(self, ident: str) -> int | None:
        """Wait for the exit status; None where the launcher is another one, which knows nothing of the script."""
        while True:
            raw = self._control.read(f"status.{ident}")
            if raw is not None:
                return exits.from_shell(int(raw))
            if not os.path.lexists(self._control.path(f"cmd.{ident}")):
                return None
            await asyncio.sleep(LOOK_S)

    def _put_away(self, ident: str) -> None:
        if self._control.read(f"pid.{ident}") is not None:
            self._control.order(f"kill KILL {ident}"[: ctl.MAX_LINE_BYTES - 1])
            # The launcher reads it in a moment, and removes it with the script's end.
            self._control.forget(*(f"{name}.{ident}" for name in _FILES if name != "pid"))
        else:
            self._control.forget(*(f"{name}.{ident}" for name in _FILES))


def script(spec: hooks.HookSpec) -> str:
    """Return a command as a script for sh.

    Raises:
        ValueError: A variable has a name that no shell can set, or something holds a zero byte.
    """
    env = spec.env or {}
    for name in env:
        if not _NAME.fullmatch(name):
            raise ValueError(f"the variable {name!r} cannot be set")
    if "\0" in "".join((*spec.argv, *env.values(), spec.cwd)):
        raise ValueError("the command holds a zero byte")
    made = [f"cd {shlex.quote(spec.cwd)} || exit 126"]
    made += [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
    return "\n".join([*made, f"exec {shlex.join(spec.argv)}"]) + "\n"
