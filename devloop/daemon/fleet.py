"""The replicas of one service, by name: they come and go while it runs.

Each runs in the service's task group until it is removed. One that cannot go on takes the service with it where that
is nothing without it; else it is named, the others go on, nothing is in sync meanwhile, and it is tried again after a
while. Where none is left that a person need not mend, the service ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from devloop import errors
from devloop.daemon import replica
from devloop.protocol import messages
from devloop.sync import commands, engine, events

# How long a replica that cannot go on is left alone: what is in its way may be mended meanwhile.
LEFT_OUT_S: Final = 10.0

# What no waiting mends: someone else has it, the key is wrong, a right is missing, the versions differ.
_FOR_A_PERSON: Final = (
    errors.OwnedError,
    errors.AuthError,
    errors.SkewError,
    errors.ForbiddenError,
    errors.CredentialsError,
)


class Fleet:
    """What runs of a service's replicas.

    Args:
        service: The service's name, for messages.
        brain: Its engine.
        carry_out: Carries out the engine's commands.
        publish: Where events go.

    Attributes:
        replicas: By name, in the order in which they came.
    """

    def __init__(
        self,
        service: str,
        brain: engine.Engine,
        *,
        carry_out: Callable[[Sequence[commands.Command]], None],
        publish: Callable[[events.Event], None],
    ) -> None:
        self.replicas: dict[str, replica.Replica] = {}
        self._service = service
        self._brain = brain
        self._carry_out = carry_out
        self._publish = publish
        self._vital: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def add(self, one: replica.Replica, *, vital: bool = False) -> None:
        """Take a replica in: from now on nothing is in sync without it.

        Args:
            one: The replica; none of its name is there.
            vital: The service ends where it cannot go on.
        """
        assert one.name not in self.replicas, one.name
        self.replicas[one.name] = one
        if vital:
            self._vital.add(one.name)
        self._carry_out(self._brain.expected(one.name))
        if self._group is not None:
            self._start(one, self._group)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run the replicas that are there, and those that come, in this group."""
        self._group = group
        for one in self.replicas.values():
            self._start(one, group)

    def _start(self, one: replica.Replica, group: asyncio.TaskGroup) -> None:
        self._tasks[one.name] = group.create_task(one.run() if one.name in self._vital else self._run(one))

    async def remove(self, name: str) -> None:
        """End a replica and forget it, and return when that is done; nothing happens where there is none.

        Safe to cancel: it is forgotten all the same.
        """
        task = self._tasks.get(name)
        if task is None or task.done():
            self._forget(name)
            return
        task.add_done_callback(lambda _: self._forget(name))
        task.cancel()
        await asyncio.wait([task])

    def first(self) -> replica.Replica | None:
        """Return the one that came first of those that are up; where none is, the first; None where there is none."""
        found = list(self.replicas.values())
        return next((one for one in found if one.up), found[0] if found else None)

    async def ask(self, ask: messages.Ask) -> None:
        """Ask all that are up, at once, and wait until each has done it.

        Args:
            ask: Something that has no content.

        Raises:
            LinkError: None is up, or the link to one ended.
            AgentError: One refused.
        """
        living = [one for one in self.replicas.values() if one.up]
        if not living:
            name = next(iter(self.replicas), f"the target of {self._service}")
            raise errors.LinkError(f"{name} is not connected", hint="see `devloop status`")
        failed: list[errors.DevloopError] = []

        async def ask_one(one: replica.Replica) -> None:
            try:
                await one.ask(ask)
            except errors.DevloopError as error:
                failed.append(error)

        # One that fails keeps nobody from asking the others.
        async with asyncio.TaskGroup() as group:
            for one in living:
                group.create_task(ask_one(one))
        if failed:
            raise failed[0]

    async def _run(self, one: replica.Replica) -> None:
        """Run a replica; where it cannot go on, say so, let the others, and try again after a while.

        Raises:
            DevloopError: All have failed, for what only a person can mend.
        """
        told = ""
        while True:
            error = one.fatal = await _failure(one)
            if all(isinstance(other.fatal, _FOR_A_PERSON) for other in self.replicas.values()):
                raise error
            self._publish(events.LinkChanged(target=one.name, up=False, detail=error.message, retry_s=LEFT_OUT_S))
            if error.message != told:
                told = error.message
                self._publish(
                    events.Notice(
                        level=events.Level.ERROR,
                        message=f"{one.name} is left out: {error.message}",
                        hint=error.hint,
                        code=error.error_code,
                    )
                )
            self._carry_out([])
            await asyncio.sleep(LEFT_OUT_S)
            one.fatal = None

    def _forget(self, name: str) -> None:
        if self.replicas.pop(name, None) is None:
            return
        self._vital.discard(name)
        self._tasks.pop(name, None)
        self._carry_out(self._brain.removed(name, asyncio.get_running_loop().time()))


async def _failure(one: replica.Replica) -> errors.DevloopError:
    """Run a replica until it cannot go on, and return why."""
    found: errors.DevloopError | None = None
    try:
        await one.run()
    except* errors.DevloopError as group:
        found = errors.first(group)
    assert found is not None, "a replica runs until it fails or is cancelled"
    return found
