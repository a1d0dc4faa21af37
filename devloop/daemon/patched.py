"""`watch --patch`: a service whose workload is patched while it is watched, and put back when the watch ends.

A watch that is killed leaves the lease: the next one of this project puts the workload back, or patches it on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final

from devloop import errors
from devloop.daemon import rungs
from devloop.inject import lease, leasing, patch, putback
from devloop.kube import client, pods
from devloop.sync import events

# How often a lease is renewed: several times in the time after which the cluster takes the laptop for gone.
RENEW_S: Final = 60.0

# How long giving back may take when a watch ends; it is two requests.
END_S: Final = 15.0


class Patched:
    """One service's patch.

    Args:
        asked: What is to be patched, and how.
        left: What is to be given back first.
        publish: Where events go.
    """

    def __init__(self, asked: patch.Asked, left: rungs.Leftovers, publish: Callable[[events.Event], None]) -> None:
        self._asked = asked
        self._left = left
        self._publish = publish
        self._uid = ""
        self._lacking = asyncio.Event()

    @contextlib.asynccontextmanager
    async def held(self, api: client.Client, namespace: str) -> AsyncIterator[None]:
        """Patch the workload; on leaving, put it back where this watch was the reason for the patch.

        Raises:
            DevloopError: See `devloop.inject.patch.install`. OwnedError also later, when somebody takes it over.
        """
        await self._left.done(api, namespace)
        me = await leasing.whoami(api)
        try:
            done = await patch.install(api, namespace, self._asked, me, self._say)
            self._tell(done, await self._restorer(api, namespace))
            with contextlib.suppress(errors.ClusterError):
                self._uid = await self._workload(api, namespace)
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(self._renew(api, namespace, done.lease, me))
                again = group.create_task(self._patch_anew(api, namespace, me)) if done.lease is not None else None
                yield
                beat.cancel()
                if again is not None:
                    again.cancel()
        finally:
            await self._give_back(api, namespace, me)

    def look(self, there: Iterable[Mapping[str, Any]]) -> None:
        """Take up how the service's pods are now, as the cluster sends them."""
        living = [each for each in map(pods.view, there) if not each.terminating]
        if any(each.agent.phase is pods.Phase.ABSENT for each in living):
            self._lacking.set()

    async def _patch_anew(self, api: client.Client, namespace: str, me: lease.Owner) -> None:
        """Patch the workload again whenever it was deleted and made anew, until cancelled.

        Only then: whoever changes the template of the very one that was patched means to.
        """
        while True:
            await self._lacking.wait()
            self._lacking.clear()
            try:
                uid = await self._workload(api, namespace)
                if uid in ("", self._uid):
                    continue
                self._say(f"{self._asked.reference} was made anew, and is patched again")
                await patch.install(api, namespace, self._asked, me, self._say)
                self._uid = uid
            except errors.ClusterError as error:
                message = f"{self._asked.reference} was made anew and cannot be patched: {error.message}"
                self._publish(
                    events.Notice(level=events.Level.WARNING, message=message, hint=error.hint, code=error.error_code)
                )

    async def _workload(self, api: client.Client, namespace: str) -> str:
        """Return the identity of the workload that is there; empty where none is."""
        try:
            raw = await api.get(self._asked.reference.path(namespace))
        except errors.NotThereError:
            return ""
        return str((raw.get("metadata") or {}).get("uid", ""))

    async def _renew(self, api: client.Client, namespace: str, one: lease.Lease | None, me: lease.Owner) -> None:
        # By the wall clock, the only one that goes on while a laptop sleeps. It decides about nobody but this watch.
        heard_s = time.time()
        while one is not None:
            await asyncio.sleep(RENEW_S)
            # The cluster may be out of reach for a while, for example while the laptop sleeps.
            with contextlib.suppress(errors.ClusterError):
                try:
                    one = await leasing.renew(api, namespace, one)
                except errors.OwnedError:
                    if time.time() - heard_s < lease.DURATION_S:
                        raise
                    # The sweeper put the workload back, because nobody heard of this laptop for too long.
                    self._say(f"{self._asked.reference} was put back while this laptop was away; it is patched again")
                    one = (await patch.install(api, namespace, self._asked, me, self._say)).lease
                heard_s = time.time()

    async def _give_back(self, api: client.Client, namespace: str, me: lease.Owner) -> None:
        """Put the workload back, unless the patch is somebody else's by now or was made to stay."""
        workload = str(self._asked.reference)
        try:
            async with asyncio.timeout(END_S):
                one = await leasing.find(api, namespace, workload)
                if one is None or not self._is_ours(one, me):
                    return
                await putback.restore(api, namespace, one)
        except (errors.ClusterError, TimeoutError) as error:
            why = error.message if isinstance(error, errors.ClusterError) else f"no answer within {END_S:.0f} s"
            self._publish(
                events.Notice(
                    level=events.Level.WARNING,
                    message=f"{workload} is left patched: {why}",
                    hint="`devloop down` puts it back, and so does the next `devloop watch`",
                )
            )
            return
        self._say(f"{workload} is put back")

    def _is_ours(self, one: lease.Lease, me: lease.Owner) -> bool:
        return one.until is lease.Until.WATCH and one.owner.is_same(me) and one.project == self._asked.project

    async def _restorer(self, api: client.Client, namespace: str) -> str:
        """Return who restores the workload should this watch not come to do it."""
        try:
            sweeper = await leasing.sweeper(api, namespace)
        except errors.ClusterError:
            sweeper = ""
        here = "the next `devloop watch` of this project does"
        after = f"after {lease.DURATION_S // 60} minutes of silence"
        return f"the sweeper in the cluster ({sweeper}) does {after}, or {here}" if sweeper else here

    def _tell(self, done: patch.Installed, restorer: str) -> None:
        workload = self._asked.reference
        if done.lease is None:
            self._say(f"{workload} has the agent by its own manifests; nothing was changed")
        elif done.lease.until is lease.Until.WATCH:
            self._say(f"{workload} is patched until this watch ends, which puts it back; if it is killed, {restorer}")

    def _say(self, line: str) -> None:
        self._publish(events.Notice(level=events.Level.INFO, message=line))
