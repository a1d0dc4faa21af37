"""How `devloop logs` reads and prints: from pods, from this machine, once or on and on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from devloop import errors
from devloop.cli import options, output
from devloop.logs import chosen, local, mux, stamps, targets, values
from devloop.state import dirs
from devloop.ui import podlines, style

if TYPE_CHECKING:
    from devloop.config import load, model
    from devloop.kube import client

# The watch's log of events, in the project's folder for logs (`devloop.daemon.logs`).
EVENTS: Final = "debug.log"


# How much a reader for a watch gives way to it (nice(2)).
PRIORITY: Final = 10


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks.

    Attributes:
        services: Their names.
        follow: Go on.
        since: From when on, as it was written.
        tail: Only so many lines of each container; None for all.
        containers: Only these; all but devloop's own where there are none.
        previous: The runs before the current ones.
        leashed: End when standard input does: for a watch that reads what is printed.
    """

    services: tuple[str, ...]
    follow: bool
    since: str
    tail: int | None
    containers: tuple[str, ...]
    previous: bool
    leashed: bool = False


class Screen:
    """Writes lines to stdout and remarks to stderr.

    Args:
        settings: Colours, the format, how much is said.
        wanted: Which lines are shown.
        prefix: See `podlines.Printer`; likewise the others.
        timestamps: Likewise.
        pretty: Likewise.

    Attributes:
        is_gone: Whoever read stdout has left.
    """

    def __init__(
        self, settings: options.Settings, wanted: chosen.Chosen, *, prefix: bool, timestamps: bool, pretty: bool
    ) -> None:
        self._settings = settings
        self._wanted = wanted
        drawn = style.Style(on=settings.color_on(sys.stdout))
        self._printer = podlines.Printer(drawn, wanted, prefix=prefix, timestamps=timestamps, pretty=pretty)
        self._notes = podlines.Printer(style.Style(on=settings.color_on(sys.stderr)), wanted)
        self.is_gone = False

    def expect(self, origins: Sequence[values.Origin]) -> None:
        """Know of containers before they print."""
        self._printer.expect(origins)
        self._notes.expect(origins)

    def show(self, items: Sequence[values.Item]) -> None:
        """Write items.

        Raises:
            BrokenPipeError: Nobody reads them.
        """
        for item in items:
            if isinstance(item, values.Note):
                sys.stdout.flush()
                for line in self._notes.note(item):
                    output.human(self._settings, line)
            elif self._settings.output == "json":
                sys.stdout.write("".join(f"{line.decode()}\n" for line in podlines.to_json(item, self._wanted)))
            else:
                sys.stdout.write("".join(f"{line}\n" for line in self._printer.lines(item)))
        sys.stdout.flush()


class Logs:
    """One run of the verb.

    Args:
        settings: Say which cluster is meant.
        project: The project.
        asked: What is asked.
        screen: Where it goes.
    """

    def __init__(self, settings: options.Settings, project: load.Project, asked: Asked, screen: Screen) -> None:
        self._settings = settings
        self._project = project
        self._asked = asked
        self._screen = screen
        services = {name: project.config.services[name] for name in asked.services}
        self._here = [name for name, spec in services.items() if spec.target is not None]
        self._there = {name: spec for name, spec in services.items() if spec.target is None}

    async def run(self) -> None:
        """Show the logs; with `follow` until cancelled, or until nobody reads them.

        Raises:
            DevloopError: They cannot be read.
        """
        failed: errors.DevloopError | None = None
        try:
            async with contextlib.AsyncExitStack() as stack:
                api = None
                if self._there:
                    from devloop.cli import clustered

                    api = await stack.enter_async_context(clustered.connection(self._settings, self._project))
                await (self._follow(api) if self._asked.follow else self._gather(api))
        except* BrokenPipeError:
            self._screen.is_gone = True
        except* errors.DevloopError as several:
            failed = errors.first(several)
        if failed is not None:
            raise failed

    async def _gather(self, api: client.Client | None) -> None:
        here = await self._local().once() if self._here else []
        if api is None:
            if not here and not self._asked.previous:
                self._say_where()
            if self._asked.previous:
                raise errors.UsageError(
                    "an app on this machine has no previous run that is kept apart", hint="leave --previous out"
                )
            self._screen.expect([each.origin for each in here])
            self._screen.show(here)
            return
        from devloop.logs import gather

        found = await self._find(api)
        there = [(target, raw) for target in found for raw in await targets.pods_of(api, target)]
        targets.check_containers(self._asked.containers, found, [raw for _, raw in there])
        for target in found:
            if not any(target is each for each, _ in there):
                if len(found) == 1:
                    raise targets.nobody(target)
                self._screen.show([_note(target, targets.nobody(target))])
        start = self._start(api)
        # The few lines of this machine stand before those of the cluster: two clocks give no order.
        self._screen.expect([*(each.origin for each in here), *self._origins(there)])
        self._screen.show(here)
        await gather.gather(
            api, there, self._put, start, containers=self._asked.containers, previous=self._asked.previous
        )

    async def _put(self, item: values.Item) -> None:
        self._screen.show([item])

    async def _follow(self, api: client.Client | None) -> None:
        from devloop.logs import follower

        lines = mux.Mux()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._print(lines))
            if self._asked.leashed:
                os.nice(PRIORITY)
                group.create_task(_end_with(sys.stdin.fileno()))
            if self._here:
                if api is None:
                    self._say_where()
                group.create_task(self._local().follow(lines.put))
            if api is None:
                return
            found = await self._find(api)
            there = [(target, raw) for target in found for raw in await targets.pods_of(api, target)]
            targets.check_containers(self._asked.containers, found, [raw for _, raw in there])
            self._screen.expect(self._origins(there))
            for target in found:
                made = follower.Follower(api, target, lines.put, self._start(api), self._asked.containers)
                group.create_task(made.run())

    async def _print(self, lines: mux.Mux) -> None:
        while True:
            self._screen.show(await lines.take())
            # Where lines always wait, readers have their turn all the same.
            await asyncio.sleep(0)

    async def _find(self, api: client.Client) -> list[targets.Target]:
        return [await targets.find(api, _service(name, spec)) for name, spec in self._there.items()]

    def _origins(self, there: Sequence[tuple[targets.Target, Any]]) -> list[values.Origin]:
        from devloop.kube import pods

        return [
            values.Origin(target.service.name, pods.view(raw).name, pods.view(raw).uid, name)
            for target, raw in there
            for name in targets.shown(raw, self._asked.containers)
        ]

    def _start(self, api: client.Client | None) -> values.Start:
        # An age is counted by the cluster's clock, which stamped the lines.
        now_s = time.time() + ((api.skew_s if api is not None else None) or 0.0)
        since = stamps.of_epoch(stamps.parse_since(self._asked.since, now_s)) if self._asked.since else ""
        return values.Start(since, self._asked.tail)

    def _local(self) -> local.Reader:
        return local.Reader(self._events_path(), self._here, self._start(None), self._asked.containers)

    def _events_path(self) -> str:
        return f"{dirs.project(self._project.folder).logs}/{EVENTS}"

    def _say_where(self) -> None:
        names = ", ".join(self._here)
        output.human(
            self._settings, f"{names}: on this machine; `devloop watch` keeps what it prints in {self._events_path()}"
        )


def _service(name: str, spec: model.Service) -> targets.Service:
    return targets.Service(name, str(spec.workload) if spec.workload is not None else "", spec.selector or {})


async def _end_with(fd: int) -> None:
    """Wait until a pipe ends, as it does with the process that holds its other end, however that ended.

    Raises:
        BrokenPipeError: Always: nobody is there any more.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            if not os.read(fd, 4096):
                ended.set()

    os.set_blocking(fd, False)
    loop.add_reader(fd, read)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(fd)
    raise BrokenPipeError


def _note(target: targets.Target, error: errors.DevloopError) -> values.Note:
    return values.Note(values.Origin(target.service.name, "", "", ""), error.message, error.hint)
