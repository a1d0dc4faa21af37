"""Running the commands that belong to a batch: its `on_change` hooks, and the reload command of mode `command`.

The session says which commands match a batch, in their order, the reload command last; this module runs them one
after the other and streams their lines. A hook that fails has a result that says so, and is not fatal: the hooks after
it and the reload run all the same, because the files are applied already, and an app that runs with half of what it
needs shows more than one that is not restarted. A batch that comes while hooks run waits for its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from devloop.core import exits
from devloop.core.appstate import DEFAULT_GRACE_S
from devloop.proc import child, lines, pipes

# Long enough for an installation of everything, short enough that a hook that waits for input is noticed.
DEFAULT_TIMEOUT_S: Final = 600.0


class HookSpec(msgspec.Struct, frozen=True):
    """One command.

    Attributes:
        name: The name that its lines and its result carry.
        argv: The command and its arguments.
        cwd: The folder it runs in.
        env: Its complete environment; None for this process's own.
        timeout_s: After this time its group is ended.
        grace_s: Seconds between TERM and KILL then.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    grace_s: float = DEFAULT_GRACE_S


class HookResult(msgspec.Struct, frozen=True):
    """What came of one command.

    Attributes:
        name: As in its spec.
        exit_status: See `devloop.core.exits`; None when it did not start, or could not be ended.
        duration_ms: How long it ran.
        failure: What went wrong, for people; empty when nothing did.
    """

    name: str
    exit_status: int | None
    duration_ms: int
    failure: str = ""


class Hooks:
    """The hooks of one service, no two of them at once.

    Args:
        output: Where their lines go.
        rewrite: What is done to the text of each line, such as `PathMap.rewrite`.
    """

    def __init__(self, output: lines.LineQueue, rewrite: pipes.Rewrite | None = None) -> None:
        self._output = output
        self._rewrite = rewrite
        self._turn = asyncio.Lock()

    async def run(self, specs: Iterable[HookSpec]) -> tuple[HookResult, ...]:
        """Run commands one after the other, after those of earlier calls.

        When cancelled it ends the group of the running command, with its grace, and starts no other.

        Returns:
            One result for each, in their order.
        """
        async with self._turn:
            return tuple([await self._run(spec) for spec in specs])

    async def _run(self, spec: HookSpec) -> HookResult:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        status, failure = await self._run_process(spec)
        duration_s = loop.time() - started_s
        return HookResult(spec.name, status, round(duration_s * 1000), failure)

    async def _run_process(self, spec: HookSpec) -> tuple[int | None, str]:
        process = child.start(
            spec.argv, cwd=spec.cwd, env=spec.env, output=self._output, source=spec.name, rewrite=self._rewrite
        )
        if isinstance(process, child.StartFailure):
            return None, f"{process.message} ({process.hint})" if process.hint else process.message
        failure = ""
        try:
            async with asyncio.timeout(spec.timeout_s):
                await process.exited()
        except TimeoutError:
            failure = f"did not end within {spec.timeout_s:g} s"
        finally:
            # Also what the command left behind in its group ends here; a cancelled wait ends everything.
            status = await process.end(spec.grace_s)
        if status is None:
            return None, "does not end after SIGKILL"
        return status, failure or (exits.describe(status) if status else "")
