"""The admission rung at work: pods that were made before their session go, so that new ones come with the agent.

`survey` decides, a pure function of the pods; `Turnover` carries out. Only pods are touched, and only those that a
controller makes again; how often is bounded, so that a webhook that does nothing is found out and not evicted against.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.kube import client, eviction, paths, pods, workloads
from devloop.podspec import devsession

_OVER: Final = frozenset({"Succeeded", "Failed"})
MAX_ROUNDS: Final = 2
"""How often the pods of a workload are evicted for one session at most."""


class Survey(msgspec.Struct, frozen=True):
    """What the pods of a workload are, as far as a session is concerned.

    Attributes:
        ready: They have an agent; by name.
        old: They are from before the session, and go.
        passed: The webhook let them through without an agent; by name, with its reason.
        stray: They came after the session, and nobody says why they have no agent.
        alone: They have no controller, so they stay as they are.
    """

    ready: tuple[str, ...] = ()
    old: tuple[pods.Pod, ...] = ()
    passed: Mapping[str, str] = {}
    stray: tuple[pods.Pod, ...] = ()
    alone: tuple[str, ...] = ()

    @property
    def is_settled(self) -> bool:
        """No pod is to go any more."""
        return not self.old and not self.stray


def survey(raw: Iterable[Mapping[str, Any]], wanted: workloads.Wanted, session: devsession.Session) -> Survey:
    """Say which of the pods are to go.

    Args:
        raw: Pods, as the API server sends them.
        wanted: Which of them are the workload's.
        session: The session, as it is now.
    """
    ready: list[str] = []
    alone: list[str] = []
    old: list[pods.Pod] = []
    stray: list[pods.Pod] = []
    passed: dict[str, str] = {}
    for each in raw:
        pod = pods.view(each)
        if not wanted.has(pod) or pod.terminating or pod.phase in _OVER:
            continue
        annotations = each["metadata"].get("annotations") or {}
        seen = annotations.get(devsession.SEEN)
        if pod.agent.phase is not pods.Phase.ABSENT and seen in (None, session.mark):
            ready.append(pod.name)
        elif pod.owner is None:
            alone.append(pod.name)
        elif seen == session.mark:
            passed[pod.name] = str(annotations.get(devsession.NOT_INJECTED) or "no reason is given")
        elif seen is None and pod.created > session.created:
            stray.append(pod)
        else:
            old.append(pod)
    return Survey(tuple(ready), tuple(old), passed, tuple(stray), tuple(alone))


class Turnover:
    """Evicts a workload's pods for one session.

    Args:
        api: The cluster.
        session: The session.
        wanted: The workload's pods.
        version: The API server's.
    """

    def __init__(
        self, api: client.Client, session: devsession.Session, wanted: workloads.Wanted, version: client.Version
    ) -> None:
        self._api = api
        self._session = session
        self._wanted = wanted
        self._version = version
        self._strays = 0
        self._evicted: set[str] = set()

    async def step(self) -> tuple[Survey, list[eviction.Evicted]]:
        """Look at the pods and evict those that are to go now; to be called until it is settled.

        Returns:
            What was seen, and what the evictions came to. A pod that a PodDisruptionBudget keeps is tried again by the
            next step.

        Raises:
            ClusterError: The pods cannot be read, or not be evicted.
        """
        seen = await self.look()
        going = [*seen.old, *(seen.stray if self._strays < MAX_ROUNDS - 1 else ())]
        done = []
        for pod in going:
            if pod.uid in self._evicted:
                continue
            one = await eviction.evict(self._api, self._session.namespace, pod, self._version)
            if one.end is eviction.End.EVICTED:
                self._evicted.add(pod.uid)
            done.append(one)
        if seen.stray and not seen.old:
            self._strays += 1
        return seen, done

    @property
    def is_given_up(self) -> bool:
        """Pods came without an agent again and again: the webhook does not do its part."""
        return self._strays >= MAX_ROUNDS

    async def look(self) -> Survey:
        """Look at the pods, and change nothing.

        Raises:
            ClusterError: They cannot be read.
        """
        await self._mean_again()
        query = {"labelSelector": self._wanted.label_selector, "fieldSelector": self._wanted.field_selector}
        listing = await self._api.list(
            paths.of("v1", "pods", self._session.namespace), {key: text for key, text in query.items() if text}
        )
        return survey(listing.items, self._wanted, self._session)

    async def _mean_again(self) -> None:
        """Take up that the workload may have been made anew meanwhile, and mean other pods; not while it is away."""
        reference = self._wanted.reference
        if reference is not None:
            with contextlib.suppress(errors.NotThereError):
                raw = await self._api.get(reference.path(self._session.namespace))
                self._wanted = workloads.of_workload(reference, raw)
