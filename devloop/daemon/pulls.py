"""Pulling: the few paths that the pod may bring back (rule 1).

The agent's sweep names files that match a sync's `pull:` and are not what was shipped. One is taken over only where
the laptop's file is what the agent last acked; else the laptop's stays, the pod's goes to `.devloop/conflicts/`, and a
notice says so. What a pull replaces goes to the trash first. Deletions are never pulled.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from devloop import errors
from devloop.core import entry as entries
from devloop.core import paths
from devloop.core.entry import Entry
from devloop.daemon import replica, source
from devloop.fs import pullwrite
from devloop.protocol import answers, messages
from devloop.state import trash
from devloop.sync import commands, engine, events

# Generated files are small; a larger one is most likely not what the pattern meant.
MAX_PULL_BYTES: Final = 64 * 1024 * 1024


class Puller:
    """Takes files over from one service's target.

    Args:
        sources: The service's syncs.
        agent: Its replica.
        brain: Its engine.
        bin: Where what is replaced goes.
        publish: Where events go.
        carry_out: Carries out the engine's commands.
    """

    def __init__(
        self,
        sources: Sequence[source.Source],
        agent: replica.Replica,
        brain: engine.Engine,
        bin: trash.Trash,
        *,
        publish: Callable[[events.Event], None],
        carry_out: Callable[[Sequence[commands.Command]], None],
    ) -> None:
        self._sources = sources
        self._agent = agent
        self._brain = brain
        self._trash = bin
        self._publish = publish
        self._carry_out = carry_out
        self._waiting: dict[tuple[int, str], Entry] = {}
        self._wake = asyncio.Event()
        self._refused: dict[tuple[int, str], bytes] = {}
        self._shipped: dict[tuple[int, str], Entry] = {}
        self._pulling = asyncio.Lock()
        self._asked: list[list[events.Pulled]] = []

    def found(self, findings: messages.Findings) -> None:
        """Take up what a sweep found."""
        drifted = {row.path: row.was for row in findings.drift}
        for raw, entry in findings.pulls:
            key = (findings.root, paths.from_wire(raw))
            # The engine takes a drifted path for what it is there by now; what counts here is what was shipped.
            if raw in drifted:
                self._shipped[key] = drifted[raw]
            else:
                self._shipped.pop(key, None)
            if self._refused.get(key) != entry.digest:
                self._waiting[key] = entry
        if self._waiting:
            self._wake.set()

    async def run(self) -> None:
        """Pull what sweeps find until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._pull_waiting()

    async def pull(self, wanted: Sequence[str]) -> list[events.Pulled]:
        """Sweep now, take over what is found, and return it.

        Args:
            wanted: Return only these paths, relative to a sync's folder; all where empty.

        Raises:
            LinkError: There is no link.
        """
        self._refused.clear()
        # Findings wake `run` too, so part of this may be its work; either way it is done when this returns.
        done: list[events.Pulled] = []
        self._asked.append(done)
        try:
            await self._agent.ask(messages.Ask.SWEEP)
            await self._pull_waiting()
        finally:
            self._asked = [each for each in self._asked if each is not done]
        return [event for event in done if not wanted or event.path in wanted]

    async def _pull_waiting(self) -> None:
        async with self._pulling:
            while self._waiting:
                (root, path), entry = self._waiting.popitem()
                try:
                    event = await self._pull_one(root, path, entry)
                except (errors.LinkError, errors.AgentError, OSError) as error:
                    # Nothing was replaced. It is found again by the next sweep, if it is still there.
                    self._publish(events.Notice(level=events.Level.WARNING, message=f"{path} was not pulled: {error}"))
                    continue
                for asked in self._asked:
                    asked.append(event)
                self._publish(event)

    async def _pull_one(self, root: int, path: str, entry: Entry) -> events.Pulled:
        content = await self._fetch(root, path, entry)
        fresh = entries.file(hashlib.sha256(content).digest(), len(content), executable=entry.executable)
        home = self._sources[root]
        async with home.still():
            known = self._shipped.get((root, path)) or self._brain.replicas[self._agent.name].known[root].get(path)
            outcome = await asyncio.to_thread(
                pullwrite.write_pulled, home.spec.source, path, content, known, fresh, self._trash.keep
            )
            if outcome.conflict:
                self._refused[root, path] = entry.digest
            else:
                self._carry_out(self._brain.pulled(self._agent.name, root, path, fresh, _now_s()))
        return events.Pulled(path=path, conflict=outcome.conflict)

    async def _fetch(self, root: int, path: str, entry: Entry) -> bytes:
        if entry.size > MAX_PULL_BYTES:
            raise errors.AgentError(f"it is larger than {MAX_PULL_BYTES} bytes", code="DL0613")
        pieces: list[bytes] = []
        async for part in self._agent.request(messages.Ask.PULL, root=root, path=path, digest=entry.digest):
            pieces.append(answers.part_to_content(part))
            if sum(map(len, pieces)) > MAX_PULL_BYTES:
                raise errors.AgentError(f"it is larger than {MAX_PULL_BYTES} bytes", code="DL0613")
        return b"".join(pieces)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
