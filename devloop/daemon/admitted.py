"""The admission rung of a watch: claims the workload by a DevSession, has its pods replaced, and keeps the claim.

Begins by itself when pods turn out to have no agent, and takes an earlier watch's claim up again. On leaving, the
session stays: the next watch goes on with it, `devloop down` ends it, and the sweeper does when nobody comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final

from devloop import errors
from devloop.daemon import rungs
from devloop.inject import admission, claims, sessions
from devloop.kube import client, eviction, pods, workloads
from devloop.podspec import devsession, request
from devloop.sync import events

# How often pods are looked at while some are to be replaced.
_STEP_S: Final = 1.0
# A session that is gone after so long without a heartbeat of ours was ended by the sweeper: this laptop slept.
_SLEPT_S: Final = 2 * sessions.RENEW_S
# A label's value has at most so many characters.
_MAX_LABEL: Final = 63


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
        slept_s: A session that is gone after so long without one is asked for anew.
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
        slept_s: float = _SLEPT_S,
    ) -> None:
        self._service = service
        self._workload = workload
        self._owner = owner
        self._left = left
        self._takeover = takeover
        self._publish = publish
        self._step_s = step_s
        self._renew_s = renew_s
        self._slept_s = slept_s
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
        while await self._through_a_session(api, namespace, reference):
            self._said.clear()
            self._say(
                "the session was ended while this laptop was not heard of, and is asked for anew",
                "its pods were given back meanwhile, and are replaced once more",
            )

    async def _through_a_session(self, api: client.Client, namespace: str, reference: workloads.Reference) -> bool:
        """Have a session and keep it, until it is gone because nobody heard of this laptop: then say so.

        Raises:
            OwnedError: Somebody else has the workload, or took it.
        """
        try:
            session = await self._begun(api, namespace, reference)
            if session is None:
                return False
            wanted = workloads.of_workload(reference, await api.find(reference.path(namespace)))
            turnover = admission.Turnover(api, session, wanted, await api.version())
        except errors.OwnedError:
            raise
        except errors.DevloopError as error:
            self._say(f"no session could be had: {error.message}", error.hint, error.error_code)
            return False
        async with asyncio.TaskGroup() as group:
            turning = group.create_task(self._turn(turnover))
            await self._beat(api, session)
            turning.cancel()
        return True

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
        session = await self._with_claim(api, namespace, spec)
        self._claimed = True
        self._say(
            f"{reference} is yours by the DevSession {session.name}: its pods go, and come again with the agent",
            "the workload itself is not touched; `devloop down` gives the pods back",
        )
        return session

    async def _with_claim(self, api: client.Client, namespace: str, spec: devsession.Spec) -> devsession.Session:
        """Begin the session, after the claim that its pods need: one that comes without would go without an agent."""
        made: claims.Claim | None = None
        if self._service.persist:
            name = devsession.name_of(spec.workload)
            made = await claims.ensure(
                api,
                namespace,
                claims.Wanted(self._service, self._workload, self._owner, name[:_MAX_LABEL].rstrip("-.")),
            )
        session: devsession.Session | None = None
        try:
            session = await sessions.begin(api, namespace, spec, takeover=self._takeover)
        finally:
            if session is None and made is not None:
                with contextlib.suppress(errors.ClusterError):
                    await claims.delete(api, namespace, made)
        if made is not None:
            folders = ", ".join(self._service.persist)
            self._say(
                f"the claim {made.name} of {self._service.persist_size} was made for {folders}",
                "it outlives pods and watches; `devloop down` deletes it, and --keep-volumes keeps it",
            )
        return session

    async def _beat(self, api: client.Client, session: devsession.Session) -> None:
        """Renew the session until cancelled, or until it is gone because that could not be done for too long.

        Raises:
            OwnedError: It was ended by somebody else.
        """
        # By the wall clock, the only one that goes on while a laptop sleeps. It decides about nobody but this watch.
        heard_s = time.time()
        while True:
            try:
                await sessions.renew(api, session, datetime.datetime.now(datetime.UTC))
                heard_s = time.time()
            except errors.OwnedError:
                if time.time() - heard_s < self._slept_s:
                    raise
                return
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
                        f"a PodDisruptionBudget does not let {one.pod} go now: {one.message}; tried again",
                        "`kubectl get pdb` shows which budget, and what it waits for",
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
