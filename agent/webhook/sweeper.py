"""Ends sessions whose watch is not heard of any more, and gives their pods back.

A session that ends is deleted; pods of sessions that are not there are evicted, so that their controllers make them
again, without an agent: exactly what git says. The workload is never touched. What is remembered here may be lost: a
new process gives every session its full time again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec

from agent.webhook import cluster, renewals
from devloop import errors
from devloop.kube import client, eviction, paths, pods
from devloop.podspec import devsession

MAX_EVICTIONS: Final = 2
# A pod that was being made while its session ended may be seen a little later. One that comes after that has the label
# from its own template, and would come with it for ever.
LATE_S: Final = 60.0
_OVER: Final = frozenset({"Succeeded", "Failed"})

_log = logging.getLogger("devloop.webhook")


class Held(msgspec.Struct, frozen=True):
    """An injected pod.

    Attributes:
        namespace: Where it is.
        session: The uid of its session.
        pod: The pod.
    """

    namespace: str
    session: str
    pod: pods.Pod


class Memory:
    """What the sweeper saw: when each session was last renewed, and how often each pod was evicted.

    Args:
        silence_s: A session that is not renewed for so long ends.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._heard = renewals.Heard()
        self._evictions: dict[str, int] = {}
        self._first: dict[str, float] = {}
        self._gone: dict[str, float] = {}

    def silent(self, sessions: Iterable[devsession.Session], now_s: float) -> list[devsession.Session]:
        """Return the sessions that end, by this process's own clock: the laptops' may be wrong.

        Args:
            sessions: All there are.
            now_s: A monotonic time.
        """
        there = list(sessions)
        silent_s = self._heard.silences({each.uid: each.renewed for each in there}, now_s)
        return [each for each in there if silent_s[each.uid] >= self._silence_s]

    def orphans(self, held: Collection[Held], living: Collection[str], now_s: float) -> list[Held]:
        """Return the pods to evict.

        Args:
            held: All injected pods, as they were before the sessions were listed.
            living: The uids of the sessions.
            now_s: A monotonic time.
        """
        there = {each.pod.uid for each in held}
        gone = {each.session for each in held if each.session not in living}
        self._first = {uid: self._first.get(uid, now_s) for uid in there}
        self._gone = {uid: self._gone.get(uid, now_s) for uid in gone}
        self._evictions = {uid: count for uid, count in self._evictions.items() if uid in there}
        return [
            each
            for each in held
            if each.session in gone
            and self._first[each.pod.uid] <= self._gone[each.session] + LATE_S
            and each.pod.owner is not None
            and not each.pod.terminating
            and each.pod.phase not in _OVER
            and self._evictions.get(each.pod.uid, 0) < MAX_EVICTIONS
        ]

    def evicted(self, uid: str) -> None:
        """Note that a pod was evicted."""
        self._evictions[uid] = self._evictions.get(uid, 0) + 1


async def run(api: client.Client, version: client.Version, memory: Memory, *, every_s: float) -> None:
    """Sweep until cancelled; trouble is said, and tried again.

    Args:
        api: The connection.
        version: The API server's.
        memory: What was seen.
        every_s: The time between two rounds.
    """
    while True:
        try:
            await sweep(api, version, memory)
        except errors.ClusterError as error:
            _log.warning("sessions cannot be swept now: %s", error.message)
        await asyncio.sleep(every_s)


async def sweep(api: client.Client, version: client.Version, memory: Memory) -> None:
    """Do one round.

    Raises:
        ClusterError: What there is cannot be listed.
    """
    # Pods first: a pod that is seen here had its session before, so one that is missing afterwards has really ended.
    held = await _held(api)
    sessions = await cluster.sessions(api)
    now_s = asyncio.get_running_loop().time()
    ended = memory.silent(sessions, now_s)
    gone = {session.uid for session in ended if await _end(api, session)}
    living = {session.uid for session in sessions} - gone
    for each in memory.orphans(held, living, now_s):
        await _evict(api, version, each, memory)


async def _held(api: client.Client) -> list[Held]:
    listing = await api.list(paths.of("v1", "pods"), {"labelSelector": devsession.LABEL})
    return [held(raw) for raw in listing.items]


def held(raw: dict[str, Any]) -> Held:
    """Return what the sweeper sees in an injected pod."""
    meta = raw["metadata"]
    return Held(str(meta.get("namespace", "")), str(meta["labels"][devsession.LABEL]), pods.view(raw))


async def _end(api: client.Client, session: devsession.Session) -> bool:
    """Delete a session unless it was renewed meanwhile, and say whether it is gone."""
    path = paths.of(devsession.API, devsession.PLURAL, session.namespace, session.name)
    exactly = {"uid": session.uid, "resourceVersion": session.version}
    try:
        await api.delete(path, {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": exactly})
    except errors.NotThereError:
        return True
    except errors.ClusterError as error:
        _log.info("%s/%s goes on: %s", session.namespace, session.name, error.message)
        return False
    _log.info("%s/%s of %s ended: not heard of", session.namespace, session.name, session.spec.owner)
    return True


async def _evict(api: client.Client, version: client.Version, each: Held, memory: Memory) -> None:
    try:
        done = await eviction.evict(api, each.namespace, each.pod, version)
    except errors.ClusterError as error:
        _log.warning("%s/%s cannot be evicted: %s", each.namespace, each.pod.name, error.message)
        return
    if done.end is eviction.End.EVICTED:
        memory.evicted(each.pod.uid)
    _log.info("%s/%s: %s %s", each.namespace, each.pod.name, done.end, done.message)
