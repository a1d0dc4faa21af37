"""A pull returns what was taken over, whoever did the work, and compares the laptop's file with what was shipped."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devloop.core import entry as entries
from devloop.core import tree
from devloop.core.entry import Entry
from devloop.daemon import pulls
from devloop.protocol import messages
from devloop.sync import events

SHIPPED, CHANGED = b"shipped", b"changed by the app"


def entry_of(content: bytes) -> Entry:
    return entries.file(hashlib.sha256(content).digest(), len(content))


def findings(*, drifted: bool) -> messages.Findings:
    drift = (messages.WireDrift(b"a.py", entry_of(SHIPPED), entry_of(CHANGED)),) if drifted else ()
    return messages.Findings(0, drift, len(drift), (), 0, 0, ((b"a.py", entry_of(CHANGED)),))


class Agent:
    """Says at a sweep that a file was changed, and hands it out."""

    name = "pod"

    def __init__(self) -> None:
        self.puller: pulls.Puller | None = None
        self.said = findings(drifted=True)

    async def ask(self, ask: messages.Ask) -> None:
        assert ask is messages.Ask.SWEEP
        assert self.puller is not None
        self.puller.found(self.said)
        # The one who pulls by itself gets ahead of the one who asked.
        for _ in range(20):
            await asyncio.sleep(0)

    async def request(self, ask: messages.Ask, *, root: int, path: str, digest: bytes) -> AsyncIterator[messages.Part]:
        assert (ask, root, path, digest) == (messages.Ask.PULL, 0, "a.py", entry_of(CHANGED).digest)
        await asyncio.sleep(0)
        yield messages.Part(1, len(CHANGED), messages.Codec.RAW, CHANGED)


class Source:
    """A sync's folder."""

    def __init__(self, root: Path) -> None:
        self.spec = SimpleNamespace(source=str(root), pull=("*.py",))

    @contextlib.asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        yield


class Brain:
    """What the engine knows; it takes a drifted path for what it is by now."""

    def __init__(self) -> None:
        known = [tree.Tree({"a.py": entry_of(CHANGED)})]
        self.replicas = {"pod": SimpleNamespace(known=known, up=True, ready=[True])}
        self.sources = [SimpleNamespace(scanned=True)]

    def pulled(self, name: str, root: int, path: str, entry: Entry, now_s: float) -> list[Any]:
        return []


def make(root: Path) -> tuple[pulls.Puller, Agent, list[events.Event]]:
    agent, told = Agent(), list[events.Event]()
    bin_: Any = SimpleNamespace(keep=lambda *arguments: None)
    sources: Sequence[Any] = [Source(root)]
    parts: Any = (sources, lambda: agent, Brain(), bin_)
    puller = pulls.Puller(*parts, publish=told.append, carry_out=lambda commands: None)
    agent.puller = puller
    return puller, agent, told


@pytest.mark.parametrize("asked", [[], ["a.py"]])
async def test_a_pull_returns_what_the_one_beside_took_over(tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "a.py").write_bytes(SHIPPED)
    puller, _, told = make(tmp_path)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(puller.run())
        await asyncio.sleep(0)
        assert [row.path for row in await puller.pull(asked)] == ["a.py"]
        running.cancel()
    assert len(told) == 1
    # It was what had been shipped, so it is no conflict that the engine takes the drift for the truth by now.
    assert (tmp_path / "a.py").read_bytes() == CHANGED


async def test_other_paths_are_not_returned(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(SHIPPED)
    puller, _, _ = make(tmp_path)
    assert await puller.pull(["b.py"]) == []


async def test_a_file_that_is_not_what_was_shipped_stays(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"changed by the user")
    puller, _, _ = make(tmp_path)
    (row,) = await puller.pull([])
    assert row.conflict
    assert (tmp_path / "a.py").read_bytes() == b"changed by the user"
