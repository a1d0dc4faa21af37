"""One service at work: its laptop side, its engine, its agents, in one TaskGroup.

What the laptop finds and the agents ack goes into the engine; the engine's commands go out from here. Everything
that a person should see becomes an event. Agents come and go while it runs (`add_replica`, `remove_replica`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from devloop import errors
from devloop.config import model
from devloop.daemon import (
    announcer,
    basefill,
    claim,
    commandline,
    fleet,
    laptop,
    overview,
    pulls,
    replica,
    spawning,
    specs,
)
from devloop.daemon.context import Context
from devloop.protocol import bodies, messages
from devloop.state import baselines
from devloop.sync import commands, engine, events, hooks, sender, status
from devloop.wire import driver

# How often what an agent could not carry out is tried again by itself; a flush tries at once.
RETRY_S: Final = 10.0


class Service:
    """One service of the project.

    Args:
        name: Its name.
        spec: What the configuration says of it.
        context: What all services share.
        target: The way to its only agent, without which it is nothing; None where agents are added as they appear.
        on_change: Called whenever it settles or stops being settled.
    """

    def __init__(
        self,
        name: str,
        spec: model.Service,
        context: Context,
        target: replica.Target | None,
        on_change: Callable[[], None],
    ) -> None:
        self.name = name
        self.spec = spec
        self._context = context
        self._publish = self._told
        self._on_change = on_change
        self._group: asyncio.TaskGroup | None = None
        self._pool = ThreadPoolExecutor(2, f"send-{name}")
        self._store = ThreadPoolExecutor(1, f"store-{name}")
        self._hooks = hooks.Chooser(spec)
        self.engine = engine.Engine(specs.sources(spec), self._hooks.pod, self._hooks.calls)
        self._rewrite = specs.path_map(spec, context.project).rewrite
        self._fleet = fleet.Fleet(name, self.engine, carry_out=self.carry_out, publish=self._publish)
        self.replicas = self._fleet.replicas
        self._announcer = announcer.Announcer(self.engine, self._publish)
        self._laptop = laptop.Laptop(
            spec,
            context,
            os.path.join(context.state, name),
            self.engine,
            carry_out=self.carry_out,
            on_problems=self._announcer.problems,
            on_rules=self._send_rules,
            on_change=on_change,
        )
        self._baselines = baselines.Baselines(os.path.join(context.state, name))
        self._basefill = basefill.Filler(context.bases, self._store, self._laptop.open_body)
        self._pulls = pulls.Puller(
            self._laptop.sources,
            self._fleet.first,
            self.engine,
            context.bin,
            publish=self._publish,
            carry_out=self.carry_out,
        )
        self._pulled_from = ""
        self._pods: Mapping[str, str] = {}
        self._why = ""
        self.fatal: errors.DevloopError | None = None
        if target is not None:
            self.add_replica(target, vital=True)

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            DevloopError: The service cannot go on: another owner, refused roots, another major version.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._laptop.start(group)
                self._fleet.start(group)
                group.create_task(self._basefill.run())
                group.create_task(self._pulls.run())
                group.create_task(self._retry())
        finally:
            self._group = None
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._store.submit(self._baselines.close)
            await asyncio.to_thread(self._store.shutdown)

    # ---- its agents -----------------------------------------------------------------------------------------

    def add_replica(self, target: replica.Target, *, vital: bool = False) -> None:
        """Sync to another agent from now on, or from the service's start: nothing is in sync before it has everything.

        Args:
            target: The way to it; none of its name is there.
            vital: The service ends where it cannot go on; else that is told, and the others go on.
        """
        self._fleet.add(self._make_replica(target), vital=vital)

    async def remove_replica(self, name: str) -> None:
        """End the link to an agent that is gone for good, and forget it, also where this is cancelled.

        Returns when its name may be added again; at once where there is none of that name.
        """
        await self._fleet.remove(name)

    def set_pods(self, states: Mapping[str, str]) -> None:
        """Take up how the pods are.

        Args:
            states: In words, by name. A pod without a replica is not synced, and this says why.
        """
        self._pods = dict(states)
        self._on_change()

    def set_trouble(self, why: str) -> None:
        """Take up why there is nobody to sync to; empty where there is somebody."""
        self._why = why
        self._on_change()

    def _make_replica(self, target: replica.Target) -> replica.Replica:
        mine = self._context
        return replica.Replica(
            target,
            claim.Claimant(mine.session, mine.owner, mine.takeover, specs.syncs(self.spec), specs.app(self.spec)),
            self.engine,
            carry_out=self.carry_out,
            make_sender=self._make_sender,
            rules=self._laptop.rules,
            stored=self._baselines.load,
            store=self._store,
            listed=self._laptop.listed,
            still_there=self._laptop.still_there,
            begun=self._laptop.begun,
            scanned=self._laptop.scanned,
            on_findings=lambda findings: self._findings(target.name, findings),
            rewrite=self._rewrite,
            publish=self._publish,
        )

    def _send_rules(self) -> None:
        for each in self.replicas.values():
            each.send_rules()

    # ---- what the engine wants ------------------------------------------------------------------------------

    def carry_out(self, found: Sequence[commands.Command]) -> None:
        """Carry out the engine's commands, in order."""
        for command in found:
            self._carry_out_one(command)
        self._on_change()

    def _carry_out_one(self, command: commands.Command) -> None:
        match command:
            case commands.Send():
                self._send(self.replicas[command.replica], command.batch)
            case commands.CancelBodies():
                self.replicas[command.replica].cancel(command.batch, command.ops)
            case commands.AskManifest():
                self.replicas[command.replica].ask_manifest(command.root)
            case commands.Distrust():
                self.replicas[command.replica].distrust(command.root)
            case commands.SaveBaseline():
                tree_id = self.engine.replicas[command.replica].tree_ids[command.root]
                self._store.submit(self._baselines.update, command.root, tree_id, command.delta)
                self._basefill.acked(command.root, command.delta)
            case commands.ResetBaseline():
                known = self.engine.replicas[command.replica].known[command.root].copy()
                self._store.submit(self._baselines.reset, command.root, command.tree_id, known)
            case commands.Rescan():
                self._spawn(self._laptop.rescan(command.root, command.paths))
            case commands.StartApp():
                self._spawn(self._start_app(self.replicas[command.replica]))
            case commands.HoldChanged():
                self._publish(events.Held(count=command.count, managed=command.managed, paths=command.paths))
            case commands.Settled():
                self._announcer.settled(command)
                self._pull_from_first()
            case _:
                raise AssertionError(f"unknown command {command!r}")

    def _send(self, one: replica.Replica, batch: commands.Batch) -> None:
        """Send a batch. What it means for the laptop is done once, however many replicas the same change goes to."""
        is_first = one is self._fleet.first()
        # Sent before it is told: views write their lines while the batch is being read.
        one.send(batch)
        self._announcer.started(batch, again=not is_first)
        for hook in self._hooks.laptop(batch.ops) if is_first else ():
            self._spawn(commandline.run(hook.name, hook.argv, hook.cwd, hook.timeout_s, self._publish))

    async def _start_app(self, one: replica.Replica) -> None:
        if specs.has_app(self.spec):
            await one.ask(messages.Ask.START)

    def _findings(self, name: str, findings: messages.Findings) -> None:
        first = self._fleet.first()
        if first is not None and first.name == name:
            self._pulled_from = name
            self._pulls.found(findings)

    def _pull_from_first(self) -> None:
        """Pull what could not be pulled yet, and what another replica found that is the first one by now."""
        first = self._fleet.first()
        if first is not None and first.name != self._pulled_from:
            self._pulled_from = first.name
            for findings in first.findings.values():
                self._pulls.found(findings)
        self._pulls.look_again()

    async def _retry(self) -> None:
        """Try again now and then what an agent could not carry out: there may be space or the right to write now."""
        while True:
            await asyncio.sleep(RETRY_S)
            if any(other.problems for other in self.engine.replicas.values()):
                self.carry_out(self.engine.retry(self._now_s()))

    # ---- what people ask ------------------------------------------------------------------------------------

    async def flush(self, timeout_s: float) -> None:
        """Return once every agent has what was saved before this call, or nothing more can be done by itself."""
        await self._laptop.flush(timeout_s)
        if any(other.problems for other in self.engine.replicas.values()):
            self.carry_out(self.engine.retry(self._now_s()))

    @property
    def settled(self) -> bool:
        """Nothing moves any more."""
        return self.engine.settled

    @property
    def in_sync(self) -> bool:
        """Everything is in every agent, and proved."""
        return self.engine.in_sync

    def state(self) -> str:
        """Return the service's state in one of the words of `status.ServiceStatus`."""
        return overview.state(
            self.engine, self.replicas, fatal=self.fatal is not None, build_failed=self._laptop.build_failed
        )

    def snapshot(self) -> status.ServiceStatus:
        """Return what `status` shows."""
        syncs = self._laptop.syncs()
        why = self.fatal.message if self.fatal is not None else self._why
        return overview.service(
            self.name, self.state(), self.engine, self.replicas, syncs, self._announcer, overview.Pods(self._pods, why)
        )

    async def diff(self) -> list[status.DiffRow]:
        """Return what differs between the laptop and the targets that can be reached, after a sweep of them."""
        await self._fleet.ask(messages.Ask.SWEEP)
        swept = [one for one in self.replicas.values() if one.up]
        return overview.differences(self.name, [sync.to for sync in self.spec.sync], self.engine, swept)

    def set_paused(self, paused: bool) -> None:
        """Stop sending, or go on."""
        self.carry_out(self.engine.resume(self._now_s()) if not paused else self.engine.pause())

    async def approve(self) -> int:
        """Let held deletions go, and take lost folders as they are now; return how many were held."""
        held = self.engine.troubles()[2]
        await self._laptop.accept_lost()
        self.carry_out(self.engine.approve(self._now_s()))
        return held

    async def restart(self) -> None:
        """Restart the app, wherever it runs."""
        if not self.spec.command:
            raise errors.UsageError(
                f"service {self.name!r} has no command to restart",
                hint="give it `command:` and `reload: supervise` in devloop.yaml",
                code="DL0102",
            )
        await self._fleet.ask(messages.Ask.RESTART)

    async def pull(self, wanted: Sequence[str]) -> list[events.Pulled]:
        """Take over files that match a pull pattern, now."""
        return await self._pulls.pull(wanted)

    # ---- small steps ----------------------------------------------------------------------------------------

    def _told(self, event: events.Event) -> None:
        """Publish an event, and remember what later ones depend on."""
        if isinstance(event, events.LinkChanged) and not event.up:
            self._announcer.lost()
        self._context.publish(event)

    def _make_sender(self, link: driver.Driver, features: frozenset[str]) -> sender.Sender:
        half = link.session
        return sender.Sender(
            link,
            [each.open_body for each in self._laptop.sources],
            self._context.bases,
            self._pool,
            features,
            # On this machine compressing costs more than it saves.
            level=lambda: 0 if self.spec.target is not None else bodies.level_for(half.statistics().rate_bytes_per_s),
            piece_bytes=lambda: half.frame_bytes,
        )

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        if not spawning.spawn(self._group, self._beside(work)):
            work.close()

    async def _beside(self, work: Awaitable[object]) -> None:
        """Do something that is not worth the service's end when it fails."""
        try:
            await work
        except errors.LinkError:
            # The link ended meanwhile; the reconciliation at the next makes it good.
            pass
        except errors.DevloopError as error:
            self._publish(
                events.Notice(level=events.Level.WARNING, message=error.message, hint=error.hint, code=error.error_code)
            )

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
