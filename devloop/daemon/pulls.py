"""Pulling: the few paths that the pod may bring back (rule 1).

The agent's sweep names files that match a sync's `pull:` and are not what was shipped. One is taken over only where
the laptop's file is what the agent last acked; else the laptop's stays, the pod's goes to `.devloop/conflicts/`, and a
notice says so. What a pull replaces goes to the trash first. Deletions are never pulled.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from devloop import errors
from devloop.core import entry as entries
from devloop.core import paths, patterns
from devloop.core.entry import Entry
from devloop.daemon import replica, source
from devloop.fs import pullwrite
from devloop.protocol import answers, messages
from devloop.state import trash
from devloop.sync import commands, engine, events

# Generated files are small; a larger one is most likely not what the pattern meant.
MAX_PULL_BYTES: Final = 64 * 1024 * 1024


# How soon what could not be pulled for want of a link is tried again.
AGAIN_S: Final = 1.0


class Puller:
    """Takes files over from one of a service's targets.

    Args:
        sources: The service's syncs.
        agent: Returns the replica to take them from; None where there is none.
        brain: Its engine.
        bin: Where what is replaced goes.
        publish: Where events go.
        carry_out: Carries out the engine's commands.
    """

    def __init__(
        self,
        sources: Sequence[source.Source],
        agent: Callable[[], replica.Replica | None],
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
        # Asked here again: which paths the pod may write is for the laptop to say.
        self._patterns = [patterns.Patterns(home.spec.pull) for home in sources]
        self._waiting: dict[tuple[int, str], Entry] = {}
        self._wake = asyncio.Event()
        self._refused: dict[tuple[int, str], bytes] = {}
        self._shipped: dict[tuple[int, str], Entry] = {}
        self._pulling = asyncio.Lock()
        self._asked: list[list[events.Pulled]] = []

    def found(self, findings: messages.Findings) -> None:
        """Take up what a sweep found; what no pattern of the sync names is not taken up."""
        drifted = {row.path: row.was for row in findings.drift}
        for raw, entry in findings.pulls:
            path = paths.from_wire(raw)
            key = (findings.root, path)
            # The engine takes a drifted path for what it is there by now; what counts here is what was shipped.
            if raw in drifted:
                self._shipped[key] = drifted[raw]
            else:
                self._shipped.pop(key, None)
            if self._refused.get(key) != entry.digest and self._patterns[findings.root].match(path):
                self._waiting[key] = entry
        if self._waiting:
            self._wake.set()

    def look_again(self) -> None:
        """Pull what could not be pulled yet: the replica is known by now."""
        if self._waiting:
            self._wake.set()

    async def run(self) -> None:
        """Pull what sweeps find until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._pull_waiting(None)
            if self._waiting:
                # The link was lost, or what the agent holds is being asked for.
                await asyncio.sleep(AGAIN_S)
                self._wake.set()

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
            agent = self._agent()
            if agent is None:
                raise errors.LinkError("the target is not connected yet", hint="see `devloop status`")
            await agent.ask(messages.Ask.SWEEP)
            if not self._is_known(agent):
                raise errors.LinkError(f"{agent.name} is not in sync yet", hint="try again in a moment")
            await self._pull_waiting(frozenset(wanted) or None)
        finally:
            self._asked = [each for each in self._asked if each is not done]
        return [event for event in done if not wanted or event.path in wanted]

    def _is_known(self, agent: replica.Replica) -> bool:
        """Say whether what the agent acked is known: without it every file would look like a conflict."""
        known = self._brain.replicas.get(agent.name)
        return known is not None and known.up and all(known.ready) and all(each.scanned for each in self._brain.sources)

    async def _pull_waiting(self, only: frozenset[str] | None) -> None:
        async with self._pulling:
            for key in [key for key in self._waiting if only is None or key[1] in only]:
                agent = self._agent()
                if agent is None or not self._is_known(agent):
                    break
                entry = self._waiting.pop(key)
                try:
                    event = await self._pull_one(agent, *key, entry)
                except errors.LinkError:
                    self._waiting.setdefault(key, entry)
                    break
                except (errors.DevloopError, OSError) as error:
                    # Nothing was replaced, and it is not tried again before it changes there or somebody asks.
                    self._refused[key] = entry.digest
                    words = f"{key[1]} was not pulled: {error}"
                    self._publish(events.Notice(level=events.Level.WARNING, message=words))
                    continue
                for asked in self._asked:
                    asked.append(event)
                self._publish(event)

    async def _pull_one(self, agent: replica.Replica, root: int, path: str, entry: Entry) -> events.Pulled:
        content = await self._fetch(agent, root, path, entry)
        fresh = entries.file(hashlib.sha256(content).digest(), len(content), executable=entry.executable)
        home = self._sources[root]
        async with home.still():
            known = self._shipped.get((root, path)) or self._brain.replicas[agent.name].known[root].get(path)
            outcome = await asyncio.to_thread(
                pullwrite.write_pulled, home.spec.source, path, content, known, fresh, self._trash.keep
            )
            if outcome.conflict:
                self._refused[root, path] = entry.digest
            else:
                self._carry_out(self._brain.pulled(agent.name, root, path, fresh, _now_s()))
        return events.Pulled(path=path, conflict=outcome.conflict)

    async def _fetch(self, agent: replica.Replica, root: int, path: str, entry: Entry) -> bytes:
        if entry.size > MAX_PULL_BYTES:
            raise errors.AgentError(f"it is larger than {MAX_PULL_BYTES} bytes", code="DL0613")
        content = bytearray()
        asked = agent.request(messages.Ask.PULL, root=root, path=path, digest=entry.digest)
        async with contextlib.aclosing(asked) as parts:
            async for part in parts:
                content += answers.part_to_content(part)
                if len(content) > MAX_PULL_BYTES:
                    raise errors.AgentError(f"it is larger than {MAX_PULL_BYTES} bytes", code="DL0613")
        return bytes(content)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
