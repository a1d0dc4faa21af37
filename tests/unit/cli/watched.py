"""A project that is being watched, for the verbs that ask: the real control socket with answers that tests choose."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devloop import errors
from devloop.daemon import bus, control
from devloop.state import dirs
from devloop.sync import events

TEXT = "version: 1\nname: shop\nservices:\n  web: {target: {local: ./t}, sync: [{from: ./web, to: /app}]}\n"


class Watched:
    """What was asked, and what is answered.

    Attributes:
        asked: Verb and arguments of every request.
        answers: By verb: a result, or an error to raise.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        self.bus: bus.Bus | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def handler(self, verb: str) -> control.Handler:
        async def handle(args: Mapping[str, Any]) -> Any:
            self.asked.append((verb, dict(args)))
            answer = self.answers.get(verb)
            if isinstance(answer, list) and answer and isinstance(answer[0], Exception):
                answer = answer.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return handle

    def publish(self, *published: events.Event) -> None:
        """Publish events, and then end the stream."""
        assert self._loop is not None and self.bus is not None
        for event in published:
            self._loop.call_soon_threadsafe(self.bus.publish, event)
        self._loop.call_soon_threadsafe(self.bus.close)


VERBS = ("status", "flush", "pause", "resume", "approve", "restart", "diff", "pull", "stop")
OF_PORTS = ("ports", "ports-add", "ports-rm", "proxy")


@contextlib.contextmanager
def watched() -> Iterator[Watched]:
    """Make a project in the current folder and answer on its control socket."""
    Path("devloop.yaml").write_text(TEXT)
    Path("web").mkdir(exist_ok=True)
    made = Watched()
    ready = threading.Event()
    ended: list[asyncio.Task[None]] = []

    async def serve() -> None:
        made.bus = bus.Bus()
        made._loop = asyncio.get_running_loop()
        started = asyncio.Event()
        handlers = {verb: made.handler(verb) for verb in VERBS + OF_PORTS}
        server = control.ControlServer(dirs.project(os.getcwd()).socket, handlers, made.bus)
        async with asyncio.TaskGroup() as group:
            ended.append(group.create_task(server.run(started)))
            await started.wait()
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield made
    finally:
        assert made._loop is not None
        made._loop.call_soon_threadsafe(ended[0].cancel)
        thread.join(10)


def refused() -> errors.DevloopError:
    return errors.OwnedError("somebody else has it", hint="ask them")
