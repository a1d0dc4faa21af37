"""The way in of a watch that was told none: the first that can be used, of those that change no workload.

Pods that come with an agent are left as they are. Where none has one, a session is asked for (`daemon.admitted`); where
there can be none, agents are attached to the pods that run (`daemon.attached`), and it is said that they are. What was
attached by an earlier watch is taken up again. Workloads are only ever patched when that is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from devloop import errors
from devloop.daemon import admitted, attached
from devloop.inject import attach, attaching
from devloop.kube import client, pods, workloads
from devloop.podspec import outcome, request
from devloop.sync import events

# How long after a cluster that does not answer the next try comes.
AGAIN_S: Final = 1.0


class Unasked:
    """The first way in that can be used, for one service.

    Args:
        service: What its pods are to have.
        workload: As devloop.yaml names it; empty where it names labels.
        sessions: The admission rung.
        ephemeral: The rung that attaches.
        publish: Where events go.
    """

    def __init__(
        self,
        service: request.Service,
        workload: str,
        sessions: admitted.Admitted,
        ephemeral: attached.Attached,
        publish: Callable[[events.Event], None],
    ) -> None:
        self._service = service
        self._workload = workload
        self._sessions = sessions
        self._ephemeral = ephemeral
        self._publish = publish
        self._there: Sequence[Mapping[str, Any]] = ()
        self._wanted = asyncio.Event()
        self._attaching = False
        self._why = ("", "")
        self._said: set[str] = set()
        sessions.otherwise(self._no_session)

    @contextlib.asynccontextmanager
    async def held(self, api: client.Client, namespace: str) -> AsyncIterator[None]:
        """Do what is needed as long as the block runs.

        Raises:
            OwnedError: In a group: somebody else has the workload, or took it.
            ForbiddenError: In a group: the right to attach was taken away.
        """
        async with self._sessions.held(api, namespace), asyncio.TaskGroup() as group:
            task = group.create_task(self._run(api, namespace))
            yield
            task.cancel()

    def look(self, there: Iterable[Mapping[str, Any]]) -> None:
        """Take up how the service's pods are now, as the cluster sends them."""
        self._there = [raw for raw in there if not pods.view(raw).terminating]
        if self._attaching:
            self._ephemeral.look(self._there)
            return
        lacking = all(pods.view(raw).agent.phase is pods.Phase.ABSENT for raw in self._there)
        # Where some come with an agent, the others are being rolled out, and go by themselves.
        if (lacking and self._why[0]) or any(map(attach.was_attached, self._there)):
            self._wanted.set()
        self._sessions.look(self._there)

    def _no_session(self, reason: str, hint: str) -> None:
        self._why = (reason, hint)
        self._wanted.set()

    async def _run(self, api: client.Client, namespace: str) -> None:
        await self._wanted.wait()
        if not await self._may(api, namespace):
            return
        async with self._ephemeral.held(api, namespace):
            self._attaching = True
            self._ephemeral.look(self._there)
            # It goes on by what it sees, until this is cancelled.
            await asyncio.Event().wait()

    async def _may(self, api: client.Client, namespace: str) -> bool:
        """Find out whether to attach, and say so, or why not."""
        while True:
            try:
                refused = await self._against(api, namespace)
            except errors.ClusterError as error:
                self._say(f"whether it can be attached is not known yet: {error.message}", error.hint, error.error_code)
                await asyncio.sleep(AGAIN_S)
                continue
            if refused is not None:
                break
            # The pods that come next decide.
            self._wanted.clear()
            await self._wanted.wait()
        reason, hint = self._why
        if refused:
            if reason:
                self._say(reason, hint)
            message = "; ".join(each.message for each in refused)
            self._say(f"no agent can be attached to the running pods: {message}", refused[0].hint, refused[0].code)
        elif reason:
            self._say(
                f"{reason}; so devloop attaches to the pods that run: nothing restarts and no workload is changed,"
                " and an ephemeral container stays in each of them until it goes",
                f"{hint or 'see docs/how-it-gets-in.md'}; `--no-attach` leaves the pods alone",
            )
        return not refused

    async def _against(self, api: client.Client, namespace: str) -> list[outcome.Refusal] | None:
        """Return what is in the way of attaching; None where it is not the time to ask.

        Raises:
            ClusterError: The cluster does not tell.
        """
        if not self._there:
            return None
        if self._workload and not any(map(attach.was_attached, self._there)):
            found = await api.find(workloads.parse(self._workload).path(namespace))
            if attaching.is_declared(found):
                return None
        return await attaching.against(api, namespace, self._there[0], self._service)

    def _say(self, message: str, hint: str, code: str = "") -> None:
        if message not in self._said:
            self._said.add(message)
            self._publish(events.Notice(level=events.Level.WARNING, message=message, hint=hint, code=code))
