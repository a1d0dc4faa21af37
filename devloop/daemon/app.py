"""A watching process: the services of one project under one TaskGroup, the bus, the control socket.

Everything is wired here and nothing is decided: the configuration comes in, `run` returns when it is told to stop or
when nothing is left that could run.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import secrets
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

import devloop
from devloop import errors
from devloop.config import model
from devloop.daemon import bus, control, forwards, keyed, local, logs, podlogs, service, ways
from devloop.daemon.context import Context
from devloop.proc import memory
from devloop.state import basestore, dirs, identity, lock, trash
from devloop.sync import events, status

if TYPE_CHECKING:
    from devloop.daemon import cluster, podwatch

# Threads that wait for the interpreter are let in after this long; Python's 5 ms would show in every save.
SWITCH_INTERVAL_S: Final = 0.0005


class Way(enum.StrEnum):
    """How the agent gets into pods."""

    FIRST = "first"
    """By the first way that can be used and changes no workload: the manifests, the webhook, ephemeral containers."""
    DECLARED = "declared"
    """By the manifests or the webhook alone."""
    PATCH = "patch"
    """By this watch, in the workloads' templates, under a lease."""
    ATTACH = "attach"
    """By this watch, as ephemeral containers."""


class Options(msgspec.Struct, frozen=True):
    """What the command line asks of a watch.

    Attributes:
        services: Only these; all where empty.
        once: End when everything is in sync.
        takeover: Take sessions over from other owners.
        kubeconfig: The kubeconfig's path; empty for the usual ones.
        context: The kube context; empty for the project's, or kubectl's own.
        namespace: The namespace; likewise.
        rung: How the agent gets into pods.
        agent_image: The agent's image, where this watch brings it.
        logs: The command that prints what the containers do; empty where that is not shown.
        hold_s: How long connections to forwarded ports wait for a pod; None for what the project says.
    """

    services: tuple[str, ...] = ()
    once: bool = False
    takeover: bool = False
    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    rung: Way = Way.FIRST
    agent_image: str = ""
    logs: tuple[str, ...] = ()
    hold_s: float | None = None


class Daemon:
    """Watches one project.

    Args:
        config: The checked configuration.
        folder: The project's folder, absolute.
        options: What the command line asks.
    """

    def __init__(self, config: model.Config, folder: str, options: Options) -> None:
        self.config = config
        self.folder = folder
        self.bus = bus.Bus()
        self._options = options
        self._places = dirs.project(folder)
        self._services: dict[str, service.Service] = {}
        self._changed = asyncio.Event()
        self._waiters: set[asyncio.Event] = set()
        self._stop = asyncio.Event()
        self._stop_reason = ""
        self._started_s = time.time()
        self._ready = False
        self._was_in_sync = False
        self._paused = False
        self._pod_watches: dict[str, podwatch.PodWatch] = {}
        self._cluster: cluster.Shared | None = None
        self._forwards: forwards.Forwards | None = None
        self._group: asyncio.TaskGroup | None = None

    # ---- life -----------------------------------------------------------------------------------------------

    async def run(self, on_started: Callable[[], None] = lambda: None) -> errors.Exit:
        """Watch until stopped; return the exit status.

        Args:
            on_started: Called once the control socket takes requests.

        Raises:
            OwnedError: Another process watches this project.
            DevloopError: No service could go on.
        """
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        memory.keep_small()
        memory.collect_rarely()
        began_s = asyncio.get_running_loop().time()
        with lock.ProjectLock(self._places.lock, self.folder):
            self._make_services()
            self._publish_started()
            async with asyncio.TaskGroup() as logging:
                logging.create_task(logs.EventLog(self._places.logs).run(self.bus.subscribe(recent=True)))
                try:
                    await self._watch(began_s, on_started)
                finally:
                    self.bus.close()
        return self._exit_status()

    async def _watch(self, began_s: float, on_started: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            started = asyncio.Event()
            ports = self._forwards = self._make_forwards()
            handlers = {**self._handlers(), **ports.handlers()}
            server = control.ControlServer(self._places.socket, handlers, self.bus, {"proxy": ports.proxy_asked})
            tasks = [group.create_task(server.run(started))]
            await started.wait()
            if not self._options.once:
                tasks.append(group.create_task(ports.run()))
            on_started()
            tasks += [group.create_task(self._run_service(each)) for each in self._services.values()]
            tasks.append(group.create_task(self._follow_states(began_s)))
            if self._options.logs and self._pod_watches:
                tasks.append(group.create_task(podlogs.PodLogs(self._options.logs, self.bus.publish).run()))
            await self._stop.wait()
            self.bus.publish(events.Stopping(reason=self._stop_reason))
            self._group = None
            for task in tasks:
                task.cancel()

    def stop(self, reason: str = "") -> None:
        """End the watch in order: apps are stopped, what is under way is left to the next start."""
        self._stop_reason = self._stop_reason or reason
        self._stop.set()

    def _make_services(self) -> None:
        context_of = self._shared_context()
        for name, spec in self._chosen().items():
            os.makedirs(os.path.join(self._places.state, name), mode=0o700, exist_ok=True)
            target = self._target_of(name, spec)
            self._services[name] = service.Service(name, spec, context_of(name), target, self._note_change)
        in_cluster = [each for each in self._services.values() if each.spec.target is None]
        if in_cluster:
            self._follow_pods(in_cluster)

    def _follow_pods(self, some: Sequence[service.Service]) -> None:
        """Prepare to follow the pods of services that are in the cluster."""
        # Late: a project whose targets are all on this machine does not pay for the client.
        from devloop.daemon import entrance, podwatch

        asked, shared = self._options, self._shared_cluster()
        entry = entrance.Entrance(self.config, dirs.project_id(self.folder), asked, self.bus.publish)
        entry.begin([each.spec for each in some])
        for each in some:
            publish = self.bus.publisher(each.name)
            self._pod_watches[each.name] = podwatch.PodWatch(
                each.spec, shared.client, each, publish, entry.rung(each.name, each.spec, publish), once=asked.once
            )

    def _shared_cluster(self) -> cluster.Shared:
        from devloop.daemon import cluster
        from devloop.kube import config

        if self._cluster is None:
            asked = self._options
            choice = config.Choice(
                kubeconfig=asked.kubeconfig,
                context=asked.context or self.config.context or "",
                namespace=asked.namespace,
                project_context=self.config.context or "",
                project_namespace=self.config.namespace or "",
            )
            self._cluster = cluster.Shared(choice)
        return self._cluster

    def _make_forwards(self) -> forwards.Forwards:
        connect = self._connect if self._pod_watches or self.config.forwards else None
        current = {name: each.current for name, each in self._pod_watches.items()}
        paths = ways.Ways(self._services, current)
        return forwards.Forwards(
            self.config, self._services, paths, self.bus.publish, connect, hold_s=self._options.hold_s
        )

    def _connect(self, on_change: Callable[[], None]) -> contextlib.AbstractAsyncContextManager[ways.Cluster]:
        from devloop.daemon import kubeways

        return kubeways.connected(self._shared_cluster().client, on_change)

    def _chosen(self) -> Mapping[str, model.Service]:
        unknown = [name for name in self._options.services if name not in self.config.services]
        if unknown:
            raise errors.UsageError(
                f"no service {unknown[0]!r} in devloop.yaml",
                hint=f"its services are {', '.join(self.config.services) or 'none'}",
                code="DL0101",
            )
        if not self.config.services and (self._options.once or not self.config.forwards):
            raise errors.ConfigError("no services to watch", hint="add one under `services:`", code="DL0210")
        return {
            name: spec
            for name, spec in self.config.services.items()
            if not self._options.services or name in self._options.services
        }

    def _shared_context(self) -> Callable[[str], Context]:
        bases = basestore.BaseStore(self._places.bases)
        bin_ = trash.Trash(self._places.trash)
        bin_.prune()
        session = secrets.token_hex(8)
        owner = identity.owner()

        def context(name: str) -> Context:
            return Context(
                project=self.folder,
                state=self._places.state,
                session=f"{session}-{name}",
                owner=owner,
                takeover=self._options.takeover,
                bases=bases,
                bin=bin_,
                publish=self.bus.publisher(name),
                watch=self.config.watch,
            )

        return context

    def _target_of(self, name: str, spec: model.Service) -> local.LocalTarget | None:
        """Return a service's target on this machine; None where it is in the cluster."""
        if spec.target is None:
            return None
        return local.LocalTarget(
            spec.target.local,
            [sync.to for sync in spec.sync],
            self._places.agent_socket(name),
            os.path.join(self._places.logs, f"agent-{name}.log"),
            grace_s=spec.reload.grace_s,
        )

    def _publish_started(self) -> None:
        self.bus.publish(
            events.ProjectStarted(
                project=self.config.name,
                folder=self.folder,
                services=tuple(self._services),
                pid=os.getpid(),
            )
        )

    async def _run_service(self, each: service.Service) -> None:
        """Run one service; its failure is told, and ends the watch only where no other is left."""
        try:
            async with asyncio.TaskGroup() as running:
                running.create_task(each.run())
                if each.name in self._pod_watches:
                    running.create_task(self._pod_watches[each.name].run())
        except* errors.DevloopError as group:
            error = errors.first(group)
            each.fatal = error
            self.bus.publish(
                events.Notice(
                    service=each.name,
                    level=events.Level.ERROR,
                    message=error.message,
                    hint=error.hint,
                    code=error.error_code,
                )
            )
        if all(other.fatal is not None for other in self._services.values()):
            self.stop("no service is left")
        self._note_change()

    async def _follow_states(self, began_s: float) -> None:
        """Say `ready` when every service was in sync for the first time; end a watch that was for once."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            living = [each for each in self._services.values() if each.fatal is None]
            if living and all(each.settled for each in living):
                if not self._ready and all(each.in_sync for each in living):
                    self._ready = True
                    ms = (asyncio.get_running_loop().time() - began_s) * 1000
                    self.bus.publish(events.Ready(ms=ms))
                if self._options.once:
                    self._was_in_sync = all(each.in_sync for each in living)
                    self.stop("everything that can be synced is")

    def _exit_status(self) -> errors.Exit:
        failed = [each.fatal for each in self._services.values() if each.fatal is not None]
        if failed and len(failed) == len(self._services):
            return failed[0].exit_status
        if failed or (self._options.once and not self._was_in_sync):
            return errors.Exit.PARTIAL
        return errors.Exit.OK

    # ---- what people ask ------------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, control.Handler]:
        return {
            "status": self._status,
            "flush": self._flush,
            "pause": self._pause,
            "resume": self._resume,
            "approve": self._approve,
            "restart": self._restart,
            "diff": self._diff,
            "pull": self._pull,
            "stop": self._stop_asked,
        }

    def snapshot(self) -> status.ProjectStatus:
        """Return what `status` shows."""
        return status.ProjectStatus(
            project=self.config.name,
            folder=self.folder,
            pid=os.getpid(),
            version=devloop.__version__,
            started=self._started_s,
            paused=self._paused,
            services=tuple(each.snapshot() for each in self._services.values()),
            forwards=self._forwards.rows() if self._forwards is not None else (),
        )

    async def _status(self, args: Mapping[str, Any]) -> Any:
        return msgspec.to_builtins(self.snapshot())

    async def flush(self, names: Iterable[str], timeout_s: float) -> dict[str, str]:
        """Wait until what was saved before this call is acked, or needs a person.

        Args:
            names: The services; all where empty.
            timeout_s: After this the states are returned as they are.

        Returns:
            Each service's state.
        """
        wanted = self._named([*names])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for each in wanted:
                    if each.fatal is None:
                        await each.flush(timeout_s)
                await self._until(lambda: all(each.settled or each.fatal is not None for each in wanted))
        return {each.name: each.state() for each in wanted}

    async def _flush(self, args: Mapping[str, Any]) -> Any:
        timeout_s = float(args.get("timeout_s", keyed.FLUSH_TIMEOUT_S))
        return await self.flush(_names(args), timeout_s)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for a state of the services. Not every change of one is an event that people are shown."""
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            while not condition():
                await changed.wait()
                changed.clear()
        finally:
            self._waiters.discard(changed)

    def _note_change(self) -> None:
        self._changed.set()
        if self._forwards is not None:
            self._forwards.look()
        for waiter in self._waiters:
            waiter.set()

    async def _pause(self, args: Mapping[str, Any]) -> Any:
        self.set_paused(True)
        return {}

    async def _resume(self, args: Mapping[str, Any]) -> Any:
        self.set_paused(False)
        return {}

    def set_paused(self, paused: bool) -> None:
        """Stop sending, or go on."""
        self._paused = paused
        for each in self._services.values():
            each.set_paused(paused)
        self.bus.publish(events.Paused(paused=paused))

    async def _approve(self, args: Mapping[str, Any]) -> Any:
        return {"approved": await self.approve(_names(args))}

    async def approve(self, names: Sequence[str] = ()) -> int:
        """Let held deletions go, and take lost folders as they are now; return how many deletions were held."""
        return sum([await each.approve() for each in self._named(names) if each.fatal is None])

    async def _restart(self, args: Mapping[str, Any]) -> Any:
        await self.restart(_names(args))
        return {}

    async def restart(self, names: Sequence[str] = ()) -> None:
        """Restart the apps."""
        for each in self._named(names):
            await each.restart()

    async def restart_all(self) -> int:
        """Restart every app that there is; return how many there are."""
        running = [each for each in self._services.values() if each.spec.command]
        for each in running:
            await each.restart()
        return len(running)

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something beside, for a key that was pressed; its trouble becomes a notice."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(self._beside(work))

    async def _beside(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except errors.DevloopError as error:
            self.bus.publish(
                events.Notice(level=events.Level.WARNING, message=error.message, hint=error.hint, code=error.error_code)
            )

    async def diff(self, names: Iterable[str]) -> list[status.DiffRow]:
        """Look through the targets; return what differs."""
        return [row for each in self._named([*names]) for row in await each.diff()]

    async def _diff(self, args: Mapping[str, Any]) -> Any:
        return msgspec.to_builtins(await self.diff(_names(args)))

    def tell(self, event: events.Notice) -> None:
        """Show a notice in every view."""
        self.bus.publish(event)

    async def _pull(self, args: Mapping[str, Any]) -> Any:
        paths = [str(path) for path in args.get("paths", ())]
        pulled = [row for each in self._named(_names(args)) for row in await each.pull(paths)]
        return [{"path": row.path, "conflict": row.conflict} for row in pulled]

    async def _stop_asked(self, args: Mapping[str, Any]) -> Any:
        self.stop("devloop stop")
        return {}

    def _named(self, names: Sequence[str]) -> list[service.Service]:
        for name in names:
            if name not in self._services:
                raise errors.UsageError(
                    f"service {name!r} is not being watched",
                    hint=f"watched are {', '.join(self._services)}",
                    code="DL0101",
                )
        return [each for name, each in self._services.items() if not names or name in names]


def _names(args: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in args.get("services", ())]
