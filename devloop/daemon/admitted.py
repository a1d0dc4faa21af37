"""The admission rung of a watch: claims the workload by a DevSession, has its pods replaced, and keeps the claim.

Begins by itself when pods turn out to have no agent, and takes an earlier watch's claim up again. On leaving, the
session stays: the next watch goes on with it, `devloop down` ends it, and the sweeper does when nobody comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final

from devloop import errors
from devloop.daemon import rungs
from devloop.inject import admission, sessions
from devloop.kube import client, eviction, pods, workloads
from devloop.podspec import devsession, request
from devloop.sync import events

# How often pods are looked at while some are to be replaced.
_STEP_S: Final = 1.0


class Admitted:
    """The way in by sessions, for one service.

    Args:
        service: What its pods are to have.
        workload: As devloop.yaml names it, such as `deployment/web`; empty where it names labels.
        owner: `user@host`.
        left: What is to be given back first.
        takeover: End another owner's session.
        publish: Where events go.
        step_s: The time between two looks at pods that are being replaced.
        renew_s: The time between two heartbeats.
    """

    def __init__(
        self,
        service: request.Service,
        workload: str,
        owner: str,
        left: rungs.Leftovers,
        *,
        takeover: bool,
        publish: Callable[[events.Event], None],
        step_s: float = _STEP_S,
        renew_s: float = sessions.RENEW_S,
    ) -> None:
        self._service = service
        self._workload = workload
        self._owner = owner
        self._left = left
        self._takeover = takeover
        self._publish = publish
        self._step_s = step_s
        self._renew_s = renew_s
        self._needed = asyncio.Event()
        self._claimed = False
        self._said: set[str] = set()
        self._instead: Callable[[str, str], None] = self._say

    def otherwise(self, told: Callable[[str, str], None]) -> None:
        """Have it told to another way in, and not to people, why there can be no session.

        Args:
            told: Gets the reason, and what to do about it.
        """
        self._instead = told

    @contextlib.asynccontextmanager
    async def held(self, api: client.Client, namespace: str) -> AsyncIterator[None]:
        """Do what is needed as long as the block runs.

        Raises:
            OwnedError: In a group: somebody else has the workload, or took it.
        """
        await self._left.done(api, namespace)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._run(api, namespace))
            yield
            task.cancel()

    def look(self, there: Iterable[Mapping[str, Any]]) -> None:
        """Take up how the service's pods are now, as the cluster sends them."""
        living = [raw for raw in there if not pods.view(raw).terminating]
        lacking = [raw for raw in living if pods.view(raw).agent.phase is pods.Phase.ABSENT]
        # Where some have it by their manifests, the others are being rolled out, and go by themselves.
        if (lacking and (self._claimed or lacking == living)) or any(map(_is_admitted, living)):
            self._needed.set()

    async def _run(self, api: client.Client, namespace: str) -> None:
        await self._needed.wait()
        reference = workloads.parse(self._workload) if self._workload else None
        if reference is None or reference.kind.name not in devsession.KINDS:
            self._instead(
                "a session is for a workload; this service has none", "name one with `workload:` in devloop.yaml"
            )
            return
        try:
            session = await self._begun(api, namespace, reference)
            if session is None:
                return
            wanted = workloads.of_workload(reference, await api.find(reference.path(namespace)))
            turnover = admission.Turnover(api, session, wanted, await api.version())
        except errors.OwnedError:
            raise
        except errors.DevloopError as error:
            self._say(f"no session could be had: {error.message}", error.hint, error.error_code)
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(api, session))
            group.create_task(self._turn(turnover))

    async def _begun(
        self, api: client.Client, namespace: str, reference: workloads.Reference
    ) -> devsession.Session | None:
        found = await sessions.rung(api, namespace)
        if not found.usable:
            self._instead(f"sessions cannot bring the agent in: {found.reason}", found.hint)
            return None
        workload = devsession.Workload(reference.kind.name, reference.name)
        try:
            spec = devsession.spec_of(self._service, workload, self._owner)
        except ValueError as error:
            self._instead(f"a session cannot be asked for this: {error}", "")
            return None
        session = await sessions.begin(api, namespace, spec, takeover=self._takeover)
        self._claimed = True
        self._say(
            f"{reference} is yours by the DevSession {session.name}: its pods go, and come again with the agent",
            "the workload itself is not touched; `devloop down` gives the pods back",
        )
        return session

    async def _beat(self, api: client.Client, session: devsession.Session) -> None:
        """Renew the session until cancelled.

        Raises:
            OwnedError: It was ended by somebody else.
        """
        while True:
            try:
                await sessions.renew(api, session, datetime.datetime.now(datetime.UTC))
            except errors.ClusterError as error:
                # The sweeper is patient for minutes.
                self._say(f"the session cannot be renewed now: {error.message}", error.hint, error.error_code)
            await asyncio.sleep(self._renew_s)

    async def _turn(self, turnover: admission.Turnover) -> None:
        """Have pods replaced whenever some have no agent, until cancelled or given up."""
        while not turnover.is_given_up:
            self._needed.clear()
            try:
                seen, done = await turnover.step()
            except errors.ClusterError as error:
                self._say(f"pods cannot be replaced now: {error.message}", error.hint, error.error_code)
                await asyncio.sleep(self._step_s)
                continue
            self._tell(seen, done)
            if seen.is_settled:
                await self._needed.wait()
            await asyncio.sleep(self._step_s)
        self._say(
            "new pods come without an agent, and nobody says why: devloop's webhook does not see them",
            "whoever runs the cluster: kubectl get pods -A -l app.kubernetes.io/name=devloop-admission",
            sessions.WEBHOOK_CODE,
        )

    def _tell(self, seen: admission.Survey, done: Iterable[eviction.Evicted]) -> None:
        for one in done:
            match one.end:
                case eviction.End.EVICTED:
                    self._say(f"{one.pod} was evicted; the one in its place comes with the agent")
                case eviction.End.FORBIDDEN_NOW:
                    self._say(
                        f"{one.message}; tried again", "`kubectl get pdb` shows which budget, and what it waits for"
                    )
                case _:
                    pass
        for name, why in seen.passed.items():
            self._say(f"{name} has no agent: {why}", code=devsession.CODE)
        for name in seen.alone:
            self._say(f"{name} has no controller that would make it again, so it stays as it is")

    def _say(self, message: str, hint: str = "", code: str = "") -> None:
        if message not in self._said:
            self._said.add(message)
            self._publish(events.Notice(level=events.Level.WARNING, message=message, hint=hint, code=code))


def _is_admitted(raw: Mapping[str, Any]) -> bool:
    """Say whether a pod has to do with a session, which then has to be kept alive."""
    return devsession.SEEN in ((raw.get("metadata") or {}).get("annotations") or {})
