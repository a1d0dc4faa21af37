"""Follows the logs of all pods of one service: a reader for each container, as pods come and go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from devloop.kube import client, paths, pods, watch
from devloop.logs import reader, targets, tracker, values


class Follower:
    """One service.

    Args:
        api: The connection.
        target: The service.
        put: Takes what is read and what is to be said; while it waits, that container is not read.
        start: Where to begin in pods that are there already; those that come later are read from their beginning.
        containers: Only these; all but devloop's own where there are none.
    """

    def __init__(
        self,
        api: client.Client,
        target: targets.Target,
        put: values.Put,
        start: values.Start,
        containers: Sequence[str] = (),
    ) -> None:
        self._api = api
        self._target = target
        self._put = put
        self._start = start
        self._containers = containers
        self._pods: dict[str, tracker.Tracker] = {}
        self._reading: set[tuple[str, str]] = set()
        self._said = ""

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            ClusterError: A right is missing, from the beginning.
        """
        path = paths.of("v1", "pods", self._api.namespace)
        seen = watch.Watch(self._api, path, self._target.query())
        first = True
        async with asyncio.TaskGroup() as group, contextlib.aclosing(seen.events()) as stream:
            async for event in stream:
                self._take(event, group, self._start if first else values.Start())
                await self._tell(event)
                first = False

    def _take(self, event: watch.Event, group: asyncio.TaskGroup, start: values.Start) -> None:
        match event:
            case watch.Listed(items):
                there = {pods.view(raw).uid for raw in items}
                for raw in items:
                    self._see(raw, group, start)
                for uid in [uid for uid in self._pods if uid not in there]:
                    self._pods.pop(uid).lose()
            case watch.Changed(raw):
                self._see(raw, group, start)
            case watch.Gone(raw):
                known = self._pods.pop(pods.view(raw).uid, None)
                if known is not None:
                    known.update(raw)
                    known.lose()
            case watch.Trouble():
                pass

    def _see(self, raw: Mapping[str, Any], group: asyncio.TaskGroup, start: values.Start) -> None:
        pod = pods.view(raw)
        if not self._target.wanted.has(pod):
            return
        known = self._pods.get(pod.uid)
        if known is None:
            known = self._pods[pod.uid] = tracker.Tracker(raw)
        else:
            known.update(raw)
        for name in targets.shown(raw, self._containers):
            if (pod.uid, name) not in self._reading:
                self._reading.add((pod.uid, name))
                origin = values.Origin(self._target.service.name, pod.name, pod.uid, name)
                made = reader.Reader(self._api, self._api.namespace, origin, known, self._put, start)
                group.create_task(self._read(made, (pod.uid, name)))

    async def _read(self, made: reader.Reader, key: tuple[str, str]) -> None:
        try:
            await made.follow()
        finally:
            # A pod that is gone does not come back.
            self._reading.discard(key)

    async def _tell(self, event: watch.Event) -> None:
        """Say, once each time, that there is nobody to read, or nobody who knows."""
        hint = ""
        if isinstance(event, watch.Trouble):
            text, hint = f"the pods cannot be followed: {event.error.message}", event.error.hint
        elif not self._pods:
            text = f"{self._target.service.whose} has no pods now; waiting for one"
        else:
            text = ""
        if text and text != self._said:
            await self._put(values.Note(values.Origin(self._target.service.name, "", "", ""), text, hint))
        self._said = text
