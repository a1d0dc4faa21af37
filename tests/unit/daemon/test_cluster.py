"""The connection that several services share: made once, closed with the last of them, made anew after that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from devloop import errors
from devloop.daemon import cluster
from devloop.kube import client, config


class Connections:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[object] = []
        self.open = 0
        self.trouble: errors.DevloopError | None = None
        monkeypatch.setattr(config, "load", self.load)
        monkeypatch.setattr(client, "connect", self.connect)

    def load(self, choice: config.Choice) -> config.Choice:
        if self.trouble is not None:
            raise self.trouble
        return choice

    @contextlib.asynccontextmanager
    async def connect(self, found: config.Choice, reread: Callable[[], object]) -> AsyncIterator[object]:
        assert reread() == found
        self.made.append(found)
        self.open += 1
        yield len(self.made)
        self.open -= 1


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    return Connections(monkeypatch)


async def test_all_that_use_it_at_once_share_one(connections: Connections) -> None:
    shared = cluster.Shared(config.Choice(context="dev"))
    seen: list[object] = []
    all_in = asyncio.Barrier(3)

    async def use() -> None:
        async with shared.client() as api:
            seen.append(api)
            await all_in.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(use())
    assert seen == [1, 1, 1]
    assert (connections.made, connections.open) == ([config.Choice(context="dev")], 0)
    async with shared.client() as again:
        seen.append(again)
        assert connections.open == 1
    assert seen[-1] == 2


async def test_a_kubeconfig_that_does_not_do_is_told_to_each(connections: Connections) -> None:
    shared = cluster.Shared(config.Choice())
    connections.trouble = errors.KubeconfigError("none")
    for _ in range(2):
        with pytest.raises(errors.KubeconfigError):
            async with shared.client():
                pass
    connections.trouble = None
    async with shared.client():
        assert len(connections.made) == 1
