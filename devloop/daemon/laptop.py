"""The laptop side of one service: its folders as they are watched, and the build that comes before what they ship.

What the sources find goes into the engine; while a build is wanted or runs, the engine sends nothing of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from devloop.config import model
from devloop.core import tree
from devloop.core.entry import Entry
from devloop.core.problem import Problem
from devloop.daemon import builder, source, specs
from devloop.daemon.context import Context
from devloop.fs import body, rootguard
from devloop.protocol import messages
from devloop.sync import commands, engine, events, status

# How long a look may take that is waited for after a build.
FLUSH_TIMEOUT_S: Final = 5.0


class Laptop:
    """Reports the sources of one service to its engine. It is the `source.Owner` of them.

    Args:
        spec: What the configuration says of the service.
        context: What all services share.
        cache: The folder of the sources' caches; it exists.
        brain: The service's engine.
        carry_out: Carries out the engine's commands.
        on_problems: Called when the folders' problems may have changed.
        on_rules: Called when the ignore rules have changed.
        on_change: Called when a build has failed.

    Attributes:
        sources: One for each sync.
        begun: Set when something of every sync's first scan is known.
        scanned: Set when every sync was scanned for the first time.
    """

    def __init__(
        self,
        spec: model.Service,
        context: Context,
        cache: str,
        brain: engine.Engine,
        *,
        carry_out: Callable[[Sequence[commands.Command]], None],
        on_problems: Callable[[], None],
        on_rules: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self.begun, self.scanned = asyncio.Event(), asyncio.Event()
        self.sources = [
            source.Source(
                index,
                sync,
                cache_path=os.path.join(cache, f"cache-{index}"),
                boundary=context.project,
                watch=context.watch,
                owner=self,
            )
            for index, sync in enumerate(spec.sync)
        ]
        self._spec = spec
        self._project = context.project
        self._publish = context.publish
        self._brain = brain
        self._carry_out = carry_out
        self._on_problems = on_problems
        self._on_rules = on_rules
        self._on_change = on_change
        self._builder = builder.Builder(spec, self._publish) if spec.build is not None else None
        self._shown_move = ("", "")

    def start(self, group: asyncio.TaskGroup) -> None:
        """Watch, and build, in this group."""
        for each in self.sources:
            group.create_task(each.run())
        if self._builder is not None:
            self._brain.close_gate()
            group.create_task(self._build_loop(self._builder))

    # ---- what the sources say -------------------------------------------------------------------------------

    def found_part(self, index: int, delta: tree.TreeDelta, began_s: float) -> None:
        """Take up a part of what the first look at a sync's folder finds."""
        self._carry_out(self._brain.growing(index, delta, _now_s(), began_s=began_s))
        self._note_progress()

    def found(self, index: int, found: source.Found) -> None:
        """Take up what a look at a sync's folder found."""
        if self._builder is not None and self._builder.touches([*found.delta.put, *found.delta.gone]):
            self._brain.close_gate()
        self._carry_out(
            self._brain.scanned(
                index,
                found.delta,
                _now_s(),
                hidden=found.hidden,
                approved=found.approved,
                git=found.git,
                began_s=found.began_s,
            )
        )
        self._note_progress()

    def _note_progress(self) -> None:
        """Let links be taken into use as soon as there is something to send, or everything to compare."""
        if all(each.begun or each.stopped for each in self._brain.sources):
            self.begun.set()
        if all(each.scanned or each.stopped for each in self._brain.sources):
            self.scanned.set()

    def lost(self, index: int, error: rootguard.RootLost) -> None:
        """Stop a sync whose folder cannot be trusted."""
        self._carry_out(self._brain.stopped(index, error.message))
        self._publish(events.Stopped(sync=self._label(index), reason=error.message, hint=error.hint))

    def regained(self, index: int) -> None:
        """Let a stopped sync go on."""
        self._carry_out(self._brain.trusted(index, _now_s()))
        self._publish(events.Resumed(sync=self._label(index)))

    def troubled(self, index: int, problems: dict[str, Problem]) -> None:
        """Take up the folder's problems."""
        self._brain.sources[index].problems = problems
        self._on_problems()

    def rules_changed(self, index: int) -> None:
        """Take up that the agents are to be told the rules."""
        self._on_rules()

    def git_moved(self, index: int, old: str, new: str) -> None:
        """Say that HEAD moved, once however many syncs saw it."""
        if (old, new) != self._shown_move:
            self._shown_move = (old, new)
            self._publish(events.GitMoved(old=old[:10], new=new[:10]))

    def notice(self, event: events.Notice) -> None:
        """Pass a notice on."""
        self._publish(event)

    # ---- builds ---------------------------------------------------------------------------------------------

    @property
    def build_failed(self) -> bool:
        """The last build failed: nothing is sent before one succeeds."""
        return self._builder is not None and self._builder.failed

    async def _build_loop(self, work: builder.Builder) -> None:
        """Build at the start and after each change that calls for it; what was found goes out after a success."""
        while True:
            await work.wanted()
            if not await work.run():
                self._on_change()
                continue
            await self.flush(FLUSH_TIMEOUT_S)
            if not work.is_wanted:
                self._carry_out(self._brain.open_gate(_now_s()))

    # ---- what is asked of the folders -----------------------------------------------------------------------

    async def flush(self, timeout_s: float) -> None:
        """Return once the engine knows of everything that was saved before this call.

        Args:
            timeout_s: How long each folder's watcher may take to notice; then it is looked through.
        """
        for each in self.sources:
            await each.flush(timeout_s)

    async def rescan(self, root: int, found: Iterable[str]) -> None:
        """Look at paths again, and tell the engine."""
        await self.sources[root].rescan(found)
        self._carry_out(self._brain.rescanned(root, found, _now_s()))

    async def accept_lost(self) -> None:
        """Take lost folders as they are now."""
        for index, each in enumerate(self.sources):
            if self._brain.sources[index].stopped:
                each.accept_root()
                await each.rescan_all()

    def rules(self) -> list[messages.Rules]:
        """Return the messages that tell an agent the rules."""
        return [each.rules_message() for each in self.sources]

    def listed(self, root: int) -> frozenset[str]:
        """Return the paths below a sync that git lists; see `source.Source.listed`."""
        return self.sources[root].listed()

    def still_there(self, root: int, found: Sequence[str]) -> tuple[str, ...]:
        """Return which of some paths below a sync are on the disk; see `source.Source.still_there`."""
        return self.sources[root].still_there(found)

    def open_body(self, root: int, path: str, entry: Entry) -> body.Body:
        """Open a file of a sync; see `source.Source.open_body`."""
        return self.sources[root].open_body(path, entry)

    def syncs(self) -> list[status.SyncStatus]:
        """Return what `status` shows of the syncs."""
        return [self._sync(index) for index in range(len(self.sources))]

    def _sync(self, index: int) -> status.SyncStatus:
        wanted = self._brain.sources[index].wanted
        return status.SyncStatus(
            source=os.path.relpath(self._spec.sync[index].source, self._project),
            to=self._spec.sync[index].to,
            files=wanted.file_count(),
            total_bytes=wanted.total_bytes(),
            digest=wanted.digest.hex(),
            watching=self.sources[index].watching,
            stopped=self._brain.sources[index].stopped,
        )

    def _label(self, index: int) -> str:
        return specs.label(self._spec.sync[index], self._project)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
