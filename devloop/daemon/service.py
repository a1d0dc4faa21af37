"""One service at work: its sources, its engine, its agents, its build, in one TaskGroup.

What the sources find and the agents ack goes into the engine; the engine's commands go out from here. Everything
that a person should see becomes an event.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from devloop import errors
from devloop.config import model
from devloop.core import ops, pathmap, paths, patterns, tree
from devloop.core.entry import Entry, Kind
from devloop.core.problem import Problem
from devloop.daemon import basefill, builder, claim, commandline, pulls, replica, source, spawning
from devloop.fs import body, rootguard
from devloop.protocol import bodies, messages
from devloop.state import baseline, basestore, trash
from devloop.sync import commands, engine, events, hooks, ledger, sender, status
from devloop.wire import driver

# Batches over which the latencies in `status` are taken, and what counts as a save: larger ones say nothing about it.
LATENCIES: Final = 200
SAVE_FILES: Final = 5


# How often what an agent could not carry out is tried again by itself; a flush tries at once.
RETRY_S: Final = 10.0


class Context:
    """What a service is given by the daemon.

    Args:
        project: The project's folder.
        state: The project's state folder.
        session: This watch's identity.
        owner: `user@host`.
        takeover: Take sessions over from other owners.
        bases: The store of delta bases.
        bin: Where a pull puts what it replaces.
        publish: Where events go.
        watch: How changes are noticed.
    """

    def __init__(
        self,
        *,
        project: str,
        state: str,
        session: str,
        owner: str,
        takeover: bool,
        bases: basestore.BaseStore,
        bin: trash.Trash,
        publish: Callable[[events.Event], None],
        watch: model.Watch,
    ) -> None:
        self.project = project
        self.state = state
        self.session = session
        self.owner = owner
        self.takeover = takeover
        self.bases = bases
        self.bin = bin
        self.publish = publish
        self.watch = watch


class Service:
    """One service of the project.

    Args:
        name: Its name.
        spec: What the configuration says of it.
        context: What all services share.
        target: The way to its agent.
        on_change: Called whenever it settles or stops being settled.
    """

    def __init__(
        self,
        name: str,
        spec: model.Service,
        context: Context,
        target: replica.Target,
        on_change: Callable[[], None],
    ) -> None:
        self.name = name
        self.spec = spec
        self._context = context
        self._publish = context.publish
        self._on_change = on_change
        self._group: asyncio.TaskGroup | None = None
        self._pool = ThreadPoolExecutor(2, f"send-{name}")
        self._store = ThreadPoolExecutor(1, f"store-{name}")
        self._hooks = hooks.Chooser(spec)
        self._begun, self._scanned = asyncio.Event(), asyncio.Event()
        self.engine = engine.Engine(
            [
                ledger.Source(delete_extra=sync.extra is model.Extra.DELETE, pulled=patterns.Patterns(sync.pull).match)
                for sync in spec.sync
            ],
            self._hooks.pod,
            self._hooks.calls,
        )
        self.sources = [
            source.Source(
                index,
                sync,
                cache_path=os.path.join(context.state, name, f"cache-{index}"),
                boundary=context.project,
                watch=context.watch,
                owner=self,
            )
            for index, sync in enumerate(spec.sync)
        ]
        self._baselines = [
            baseline.Baseline(os.path.join(context.state, name), index) for index in range(len(spec.sync))
        ]
        self.replica = replica.Replica(
            target,
            claim.Claimant(
                context.session,
                context.owner,
                context.takeover,
                tuple(messages.SyncSpec(sync.to, sync.pull) for sync in spec.sync),
                _app_spec(spec),
            ),
            self.engine,
            carry_out=self.carry_out,
            make_sender=self._make_sender,
            rules=lambda: [each.rules_message() for each in self.sources],
            stored=self._baselines,
            store=self._store,
            listed=lambda root: self.sources[root].listed(),
            still_there=lambda root, found: self.sources[root].still_there(found),
            begun=self._begun,
            scanned=self._scanned,
            on_findings=self._findings,
            rewrite=_path_map(spec, context.project).rewrite,
            publish=self._publish,
        )
        self._basefill = basefill.Filler(context.bases, self._store, self._open_body)
        self._pulls = pulls.Puller(
            self.sources, self.replica, self.engine, context.bin, publish=self._publish, carry_out=self.carry_out
        )
        self.builder = builder.Builder(spec, self._publish) if spec.build is not None else None
        self._shown_problems: tuple[events.ProblemRow, ...] = ()
        self._shown_move = ("", "")
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES)
        self._saves = 0
        self._failing = False
        self.fatal: errors.DevloopError | None = None

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            DevloopError: The service cannot go on: another owner, refused roots, another major version.
        """
        if self.builder is not None:
            self.engine.close_gate()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for each in self.sources:
                    group.create_task(each.run())
                group.create_task(self.replica.run())
                group.create_task(self._basefill.run())
                group.create_task(self._pulls.run())
                group.create_task(self._retry())
                if self.builder is not None:
                    group.create_task(self._build_loop(self.builder))
        finally:
            self._group = None
            self._pool.shutdown(wait=False, cancel_futures=True)
            await asyncio.to_thread(self._store.shutdown)

    # ---- what the sources say -------------------------------------------------------------------------------

    def found_part(self, index: int, delta: tree.TreeDelta, began_s: float) -> None:
        """Take up a part of what the first look at a sync's folder finds."""
        self.carry_out(self.engine.growing(index, delta, self._now_s(), began_s=began_s))
        self._note_progress()

    def found(self, index: int, found: source.Found) -> None:
        """Take up what a look at a sync's folder found."""
        if self.builder is not None and self.builder.touches([*found.delta.put, *found.delta.gone]):
            self.engine.close_gate()
        self.carry_out(
            self.engine.scanned(
                index,
                found.delta,
                self._now_s(),
                hidden=found.hidden,
                approved=found.approved,
                git=found.git,
                began_s=found.began_s,
            )
        )
        self._note_progress()

    def _note_progress(self) -> None:
        """Let the link be taken into use as soon as there is something to send, or everything to compare."""
        if all(each.begun or each.stopped for each in self.engine.sources):
            self._begun.set()
        if all(each.scanned or each.stopped for each in self.engine.sources):
            self._scanned.set()

    def lost(self, index: int, error: rootguard.RootLost) -> None:
        """Stop a sync whose folder cannot be trusted."""
        self.carry_out(self.engine.stopped(index, error.message))
        self._publish(events.Stopped(sync=self._label(index), reason=error.message, hint=error.hint))

    def regained(self, index: int) -> None:
        """Let a stopped sync go on."""
        self.carry_out(self.engine.trusted(index, self._now_s()))
        self._publish(events.Resumed(sync=self._label(index)))

    def troubled(self, index: int, problems: dict[str, Problem]) -> None:
        """Take up the folder's problems."""
        self.engine.sources[index].problems = problems
        self._publish_problems()

    def rules_changed(self, index: int) -> None:
        """Tell the agents the new rules."""
        self.replica.send_rules()

    def git_moved(self, index: int, old: str, new: str) -> None:
        """Say that HEAD moved, once however many syncs saw it."""
        if (old, new) != self._shown_move:
            self._shown_move = (old, new)
            self._publish(events.GitMoved(old=old[:10], new=new[:10]))

    def notice(self, event: events.Notice) -> None:
        """Pass a notice on."""
        self._publish(event)

    # ---- what the engine wants ------------------------------------------------------------------------------

    def carry_out(self, found: Sequence[commands.Command]) -> None:
        """Carry out the engine's commands, in order."""
        for command in found:
            self._carry_out_one(command)
        self._on_change()

    def _carry_out_one(self, command: commands.Command) -> None:
        match command:
            case commands.Send():
                self._say_started(command.batch)
                self.replica.send(command.batch)
                for hook in self._hooks.laptop(command.batch.ops):
                    self._spawn(commandline.run(hook.name, hook.argv, hook.cwd, hook.timeout_s, self._publish))
            case commands.CancelBodies():
                self.replica.cancel(command.batch, command.ops)
            case commands.AskManifest():
                self.replica.ask_manifest(command.root)
            case commands.Distrust():
                self.replica.distrust(command.root)
            case commands.SaveBaseline():
                self._store.submit(self._baselines[command.root].update, command.delta)
                self._basefill.acked(command.root, command.delta)
            case commands.ResetBaseline():
                known = self.engine.replicas[command.replica].known[command.root].copy()
                self._store.submit(self._baselines[command.root].reset, command.tree_id, known)
            case commands.Rescan():
                self._spawn(self._rescan(command.root, command.paths))
            case commands.StartApp():
                self._spawn(self._start_app())
            case commands.HoldChanged():
                self._publish(events.Held(count=command.count, managed=command.managed, paths=command.paths))
            case commands.Settled():
                self._settled(command)
                self._pulls.look_again()
            case _:
                raise AssertionError(f"unknown command {command!r}")

    def _say_started(self, batch: commands.Batch) -> None:
        puts = [op for op in batch.ops if op.action is ops.Action.PUT]
        self._publish(
            events.SyncStarted(
                batch=batch.number,
                files=sum(1 for op in puts if op.entry is not None and op.entry.kind is not Kind.FOLDER),
                deletes=sum(1 for op in batch.ops if op.action is ops.Action.DELETE),
                total_bytes=sum(op.body_bytes for op in puts),
                git=batch.git,
                paths=tuple(op.path for op in batch.ops[:5]),
            )
        )

    def _settled(self, what: commands.Settled) -> None:
        ms = what.elapsed_s * 1000
        news = bool(what.files or what.deletes or what.first or self._failing)
        self._failing = bool(what.failed or what.held)
        if not what.first and 0 < what.files + what.deletes <= SAVE_FILES:
            self._latencies_ms.append(ms)
        if what.files or what.deletes:
            self._saves += 1
        self._publish_problems()
        if what.failed or what.held:
            self._publish(
                events.SyncFailed(
                    message=_why_failed(what),
                    problems=what.failed,
                    held=what.held,
                    skipped=what.skipped,
                    files=what.files,
                    deletes=what.deletes,
                    ms=ms,
                )
            )
        elif news:
            self._publish(
                events.SyncComplete(
                    files=what.files,
                    deletes=what.deletes,
                    total_bytes=what.total_bytes,
                    ms=ms,
                    first=what.first,
                    skipped=what.skipped,
                    total_files=sum(each.wanted.file_count() for each in self.engine.sources),
                )
            )

    async def _rescan(self, root: int, found: Iterable[str]) -> None:
        await self.sources[root].rescan(found)
        self.carry_out(self.engine.rescanned(root, found, self._now_s()))

    async def _start_app(self) -> None:
        if self.spec.command or self.spec.reload.mode is not model.Mode.NONE:
            await self.replica.ask(messages.Ask.START)

    def _findings(self, findings: messages.Findings) -> None:
        self._pulls.found(findings)

    async def _retry(self) -> None:
        """Try again now and then what an agent could not carry out: there may be space or the right to write now."""
        while True:
            await asyncio.sleep(RETRY_S)
            if any(other.problems for other in self.engine.replicas.values()):
                self.carry_out(self.engine.retry(self._now_s()))

    # ---- builds ---------------------------------------------------------------------------------------------

    async def _build_loop(self, work: builder.Builder) -> None:
        """Build at the start and after each change that calls for it; what was found goes out after a success."""
        while True:
            await work.wanted()
            if not await work.run():
                self._on_change()
                continue
            for each in self.sources:
                await each.flush(5.0)
            if not work.is_wanted:
                self.carry_out(self.engine.open_gate(self._now_s()))

    # ---- what people ask ------------------------------------------------------------------------------------

    async def flush(self, timeout_s: float) -> None:
        """Return once every agent has what was saved before this call, or nothing more can be done by itself."""
        for each in self.sources:
            await each.flush(timeout_s)
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
        if self.fatal is not None or any(each.stopped for each in self.engine.sources):
            return "stopped"
        if self.builder is not None and self.builder.failed:
            return "build failed"
        if self.engine.paused:
            return "paused"
        if not self.replica.up:
            return "connecting"
        failed, _, held = self.engine.troubles()
        if not self.engine.settled:
            return "syncing"
        if held:
            return "held"
        if failed:
            return "partial"
        return "drifted" if self.engine.drift_count() else "in sync"

    def snapshot(self) -> status.ServiceStatus:
        """Return what `status` shows."""
        rows = self._problem_rows()
        known = self.engine.replicas.get(self.replica.name)
        app = self.replica.app
        ordered = sorted(self._latencies_ms)
        return status.ServiceStatus(
            name=self.name,
            state=self.state(),
            targets=(self._target_status(),),
            syncs=tuple(self._sync_status(index) for index in range(len(self.sources))),
            app=status.AppStatus(app.phase, app.pid, app.starts, app.detail) if app is not None else None,
            held=len(known.held) if known is not None else 0,
            pending=len(known.pending) + sum(len(flight.ops) for flight in known.flights.values()) if known else 0,
            problems=rows[:200],
            problem_count=len(rows),
            saves=self._saves,
            save_p50_ms=ordered[len(ordered) // 2] if ordered else 0.0,
            save_p95_ms=ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)] if ordered else 0.0,
        )

    def _target_status(self) -> status.TargetStatus:
        found = self.replica.findings.values()
        figures = self.replica.statistics
        known = self.engine.replicas.get(self.replica.name)
        return status.TargetStatus(
            name=self.replica.name,
            up=self.replica.up,
            synced=known is not None and known.synced,
            detail=self.replica.detail,
            drift=sum(each.drift_count for each in found),
            extra=sum(each.extra_count for each in found),
            protected=sum(each.protected_count for each in found),
            rtt_ms=figures.rtt_s * 1000 if figures is not None and figures.rtt_s is not None else 0.0,
            uid=self.replica.hello.uid if self.replica.hello is not None else -1,
        )

    def _sync_status(self, index: int) -> status.SyncStatus:
        wanted = self.engine.sources[index].wanted
        return status.SyncStatus(
            source=os.path.relpath(self.spec.sync[index].source, self._context.project),
            to=self.spec.sync[index].to,
            files=wanted.file_count(),
            total_bytes=wanted.total_bytes(),
            digest=wanted.digest.hex(),
            watching=self.sources[index].watching,
            stopped=self.engine.sources[index].stopped,
        )

    async def diff(self) -> list[status.DiffRow]:
        """Return what differs between the laptop and the target, after a sweep of it."""
        await self.replica.ask(messages.Ask.SWEEP)
        rows: list[status.DiffRow] = []
        for root, found in sorted(self.replica.findings.items()):
            add = _Rows(rows, self.name, self.replica.name, self.spec.sync[root].to)
            for drift in found.drift:
                what = "drift-missing" if drift.now is None else "drift-changed"
                add(paths.from_wire(drift.path), what, "changed in the target by someone else")
            for raw in found.extra:
                add(paths.from_wire(raw), "extra", "not shipped by devloop")
        known = self.engine.replicas.get(self.replica.name)
        for root, path in known.held if known is not None else ():
            add = _Rows(rows, self.name, self.replica.name, self.spec.sync[root].to)
            add(path, "held-delete", "waits for approval")
        for root, path in known.pending if known is not None else ():
            add = _Rows(rows, self.name, self.replica.name, self.spec.sync[root].to)
            gone = path not in self.engine.sources[root].wanted
            add(path, "pending-delete" if gone else "pending-put", "not sent yet")
        rows += [
            status.DiffRow(self.name, self.replica.name, "", row.path, "problem", row.detail)
            for row in self._problem_rows()
        ]
        return rows

    def set_paused(self, paused: bool) -> None:
        """Stop sending, or go on."""
        self.carry_out(self.engine.resume(self._now_s()) if not paused else self.engine.pause())

    async def approve(self) -> int:
        """Let held deletions go, and take lost folders as they are now; return how many were held."""
        held = self.engine.troubles()[2]
        for index, each in enumerate(self.sources):
            if self.engine.sources[index].stopped:
                each.accept_root()
                await each.rescan_all()
        self.carry_out(self.engine.approve(self._now_s()))
        return held

    async def restart(self) -> None:
        """Restart the app."""
        if not self.spec.command:
            raise errors.UsageError(
                f"service {self.name!r} has no command to restart",
                hint="give it `command:` and `reload: supervise` in devloop.yaml",
                code="DL0102",
            )
        await self.replica.ask(messages.Ask.RESTART)

    async def pull(self, wanted: Sequence[str]) -> list[events.Pulled]:
        """Take over files that match a pull pattern, now."""
        return await self._pulls.pull(wanted)

    # ---- small steps ----------------------------------------------------------------------------------------

    def _make_sender(self, link: driver.Driver, features: frozenset[str]) -> sender.Sender:
        half = link.session
        return sender.Sender(
            link,
            [each.open_body for each in self.sources],
            self._context.bases,
            self._pool,
            features,
            # On this machine compressing costs more than it saves.
            level=lambda: 0 if self.spec.target is not None else bodies.level_for(half.statistics().rate_bytes_per_s),
            piece_bytes=lambda: half.frame_bytes,
        )

    def _open_body(self, root: int, path: str, entry: Entry) -> body.Body:
        return self.sources[root].open_body(path, entry)

    def _problem_rows(self) -> tuple[events.ProblemRow, ...]:
        found: list[Problem] = []
        for each in self.engine.sources:
            found += each.problems.values()
        for other in self.engine.replicas.values():
            found += other.problems.values()
        return tuple(events.ProblemRow(each.path, each.reason, each.detail, each.side) for each in found)

    def _publish_problems(self) -> None:
        rows = self._problem_rows()
        if rows != self._shown_problems:
            self._shown_problems = rows
            self._publish(events.ProblemsChanged(problems=rows[:200], count=len(rows)))

    def _label(self, index: int) -> str:
        sync = self.spec.sync[index]
        return f"{os.path.relpath(sync.source, self._context.project)} -> {sync.to}"

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


class _Rows:
    def __init__(self, rows: list[status.DiffRow], service: str, target: str, to: str) -> None:
        self._rows, self._service, self._target, self._to = rows, service, target, to

    def __call__(self, path: str, what: str, detail: str) -> None:
        self._rows.append(status.DiffRow(self._service, self._target, self._to, path, what, detail))


def _app_spec(spec: model.Service) -> messages.AppSpec:
    reload = spec.reload
    return messages.AppSpec(
        mode=messages.ReloadMode(reload.mode.value),
        command=spec.command or (),
        cwd=spec.workdir or spec.sync[0].to,
        env=dict(spec.env),
        signal=reload.signal or "",
        run=reload.run or (),
        grace_s=reload.grace_s,
    )


def _path_map(spec: model.Service, project: str) -> pathmap.PathMap:
    """Return what turns paths that the app prints into paths that an editor opens."""
    pairs: list[pathmap.Pair] = []
    for sync in spec.sync:
        here = os.path.relpath(sync.source, project)
        pairs.append(pathmap.Pair(sync.to, here))
        if spec.target is not None:
            # The app on this machine knows itself by the real folder.
            pairs.append(pathmap.Pair(spec.target.local.rstrip("/") + sync.to, here))
    return pathmap.PathMap(pairs)


def _why_failed(what: commands.Settled) -> str:
    parts = []
    if what.failed:
        parts.append(f"{what.failed} {'path' if what.failed == 1 else 'paths'} could not be synced")
    if what.held:
        parts.append(f"{what.held} deletions wait for approval")
    return ", ".join(parts)
