"""`watch --attach`: agents as ephemeral containers in a service's running pods, added again when they end.

What a pod needs is decided by `devloop.inject.attach`; here it is asked whenever the pods change, and done beside.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.core import backoff
from devloop.daemon import rungs, spawning
from devloop.inject import attach, attaching
from devloop.kube import client
from devloop.podspec import request
from devloop.sync import events

# How long after an agent that ended by itself, or a cluster that does not take one, the next try comes; the longest of
# the growing waits, because what a policy forbids is only mended by a person.
AGAIN_S: Final = 1.0
LONGEST_S: Final = 15.0

# Codes of what no second try mends: the pod or the service has to change.
_FINAL: Final = frozenset({attach.CODE, "DL0802", "DL0803", "DL0805", "DL0806"})


class Attached:
    """One service's agents.

    Args:
        service: The service, as its pods are concerned.
        agent_image: The agent's image.
        left: What is to be given back first.
        publish: Where events go.
    """

    def __init__(
        self,
        service: request.Service,
        agent_image: str,
        left: rungs.Leftovers,
        publish: Callable[[events.Event], None],
    ) -> None:
        self._service = service
        self._image = agent_image
        self._left = left
        self._publish = publish
        self._there: dict[str, Mapping[str, Any]] = {}
        self._had: dict[str, attach.History] = {}
        self._busy: set[str] = set()
        self._given_up: set[str] = set()
        self._told: set[str] = set()
        self._delays: dict[str, Iterator[float]] = {}
        self._do: Callable[[str, attach.Step], None] = lambda uid, step: None

    @contextlib.asynccontextmanager
    async def held(self, api: client.Client, namespace: str) -> AsyncIterator[None]:
        """Attach to pods as they are seen, until left; what was attached stays until its pod goes.

        Raises:
            ForbiddenError: There is no right to attach.
        """
        await self._left.done(api, namespace)
        async with asyncio.TaskGroup() as group:
            running: set[asyncio.Task[None]] = set()

            def do(uid: str, step: attach.Step) -> None:
                work = self._add(api, namespace, uid, step)
                if spawning.spawn(group, self._tracked(work, running)):
                    self._busy.add(uid)

            self._do = do
            try:
                yield
            finally:
                self._do = lambda uid, step: None
                for task in running:
                    task.cancel()

    async def _tracked(self, work: Any, running: set[asyncio.Task[None]]) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await work
        finally:
            running.discard(task)

    def look(self, there: Iterable[Mapping[str, Any]]) -> None:
        """Attach where an agent is missing."""
        self._there = {str((raw.get("metadata") or {}).get("uid", "")): raw for raw in there}
        for kept in (self._had, self._busy, self._given_up, self._delays):
            for uid in [uid for uid in kept if uid not in self._there]:
                kept.pop(uid) if isinstance(kept, dict) else kept.discard(uid)
        for uid in self._there:
            self._see(uid)

    def _see(self, uid: str) -> None:
        raw = self._there.get(uid)
        if raw is None or uid in self._busy or uid in self._given_up:
            return
        app = attach.container_of(raw, self._service.container)
        if not isinstance(app, str):
            self._give_up(uid, f"pod {_name(raw)}: {app.message}", app.hint, app.code)
            return
        step = attach.decide(raw, app, self._had.get(uid, attach.History()), self._image)
        if step.act is attach.Act.ADD:
            self._do(uid, step)
        elif step.act is attach.Act.GIVE_UP:
            hint = "evict the pod for a new one: `devloop down --evict`"
            self._give_up(uid, f"no agent stays in pod {_name(raw)}: {step.why}", hint, attach.CODE)

    async def _add(self, api: client.Client, namespace: str, uid: str, step: attach.Step) -> None:
        """Add an agent; afterwards the pod is looked at again.

        Raises:
            ForbiddenError: There is no right to.
        """
        raw = self._there.get(uid)
        if raw is None:
            self._busy.discard(uid)
            return
        try:
            if step.history.failures:
                await asyncio.sleep(AGAIN_S * 2**step.history.failures)
            who = await attaching.add(api, namespace, raw, self._service, self._image, step.number)
        except errors.ForbiddenError:
            raise
        except errors.ClusterError as error:
            if error.error_code in _FINAL:
                self._give_up(uid, error.message, error.hint, error.error_code)
            else:
                self._say_once(events.Level.WARNING, error.message, error.hint, error.error_code)
                await asyncio.sleep(next(self._delays_of(uid)))
        else:
            self._delays.pop(uid, None)
            self._had[uid] = msgspec.structs.replace(step.history, number=step.number)
            message = f"attached to pod {_name(raw)} as {who}; it stays until the pod goes"
            self._publish(events.Notice(level=events.Level.INFO, message=message))
        finally:
            self._busy.discard(uid)
        self._see(uid)

    def _delays_of(self, uid: str) -> Iterator[float]:
        return self._delays.setdefault(uid, backoff.delays(first_s=AGAIN_S, longest_s=LONGEST_S))

    def _give_up(self, uid: str, message: str, hint: str, code: str) -> None:
        self._given_up.add(uid)
        self._say_once(events.Level.ERROR, message, hint, code)

    def _say_once(self, level: events.Level, message: str, hint: str, code: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._publish(events.Notice(level=level, message=message, hint=hint, code=code))


def _name(raw: Mapping[str, Any]) -> str:
    return str((raw.get("metadata") or {}).get("name", ""))
