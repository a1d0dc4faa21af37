"""What the pod brings back: only what `pull:` names, only where the laptop has no news, nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devloop import errors
from devloop.core import entry, tree
from devloop.daemon import pulls
from devloop.protocol import answers, messages
from devloop.sync import events
from tests.unit.daemon import fake_agent, service_bench
from tests.unit.daemon.service_bench import running


def bench_in(folder: Path) -> service_bench.Bench:
    return service_bench.Bench(folder, sync={"pull": ["made/*.py", "*.lock"]})


def offer(bench: service_bench.Bench, path: str, content: bytes) -> None:
    """Let the agent find a file that the app has made."""
    bench.agent.bodies[path] = content
    found = ((path.encode(), fake_agent.file_entry(content)),)
    bench.agent.say(messages.Findings(0, (), 0, (), 0, 0, found))


async def test_a_file_that_the_app_made_is_taken_over_and_not_pushed_back(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    bench.write("a")
    async with running(bench):
        await bench.in_sync()
        offer(bench, "made/x.py", b"made in the pod")
        pulled = await bench.event(events.Pulled)
        assert (pulled.path, pulled.conflict) == ("made/x.py", "")
        assert (bench.home / "made" / "x.py").read_bytes() == b"made in the pod"
        del bench.agent.bodies["made/x.py"]
        await bench.in_sync()
        assert "made/x.py" not in bench.agent.bodies
        assert "made/x.py" in bench.agent.trees[0]


async def test_what_it_replaces_goes_to_the_trash(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    bench.write("x.lock", "old")
    async with running(bench):
        await bench.in_sync()
        offer(bench, "x.lock", b"new")
        await bench.event(events.Pulled)
        assert (bench.home / "x.lock").read_bytes() == b"new"
        kept = [path for path in (tmp_path / "trash").rglob("*") if path.is_file()]
        assert b"old" in [path.read_bytes() for path in kept]


async def test_news_of_the_laptop_stay_and_the_pods_goes_aside(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    bench.write("x.lock", "old")
    async with running(bench):
        await bench.in_sync()
        bench.service.set_paused(True)
        bench.write("x.lock", "mine")
        offer(bench, "x.lock", b"theirs")
        pulled = await bench.event(events.Pulled)
        assert (bench.home / "x.lock").read_bytes() == b"mine"
        assert Path(pulled.conflict).read_bytes() == b"theirs"
        assert "/.devloop/conflicts/" in pulled.conflict
        offer(bench, "x.lock", b"theirs")
        offer(bench, "y.lock", b"later")
        await bench.event(events.Pulled, lambda event: event.path == "y.lock")
        assert len([each for each in bench.all_of(events.Pulled) if each.path == "x.lock"]) == 1


@pytest.mark.parametrize("path", ["a", "app.py", "made/deep/x.py", "other/x.py"])
async def test_what_no_pattern_names_is_never_written(tmp_path: Path, path: str) -> None:
    bench = bench_in(tmp_path)
    bench.write("a", "mine")
    async with running(bench):
        await bench.in_sync()
        offer(bench, path, b"evil")
        offer(bench, "ok.lock", b"fine")
        await bench.event(events.Pulled)
        assert (bench.home / "a").read_bytes() == b"mine"
        assert {each.name for each in bench.home.iterdir()} == {"a", "ok.lock"}


async def test_a_link_in_the_way_does_not_lead_out(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "y.lock").write_text("precious")
    os.symlink(outside, bench.home / "made")
    os.symlink(outside / "y.lock", bench.home / "x.lock")
    async with running(bench):
        await bench.settled()
        offer(bench, "made/x.py", b"evil")
        offer(bench, "x.lock", b"evil")
        offer(bench, "ok.lock", b"fine")
        await bench.event(events.Pulled, lambda event: event.path == "ok.lock")
        await bench.until(lambda: len(bench.all_of(events.Pulled)) + len(bench.all_of(events.Notice)) >= 3)
    assert (outside / "y.lock").read_text() == "precious"
    assert [each.name for each in outside.iterdir()] == ["y.lock"]


async def test_a_file_that_is_too_large_is_refused_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulls, "MAX_PULL_BYTES", 1000)
    bench = bench_in(tmp_path)
    async with running(bench):
        await bench.in_sync()
        for _ in range(3):
            offer(bench, "big.lock", bytes(1001))
        offer(bench, "ok.lock", b"fine")
        await bench.event(events.Pulled)
        (notice,) = bench.all_of(events.Notice)
        assert "big.lock" in notice.message and "larger than 1000 bytes" in notice.message


async def test_an_agent_that_sends_more_than_it_said_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "MAX_PULL_BYTES", 1000)
    bench = bench_in(tmp_path)
    honest = bench.agent.on_request

    def flood(request: messages.Request) -> tuple[Sequence[messages.Part], str]:
        if request.ask is messages.Ask.PULL and request.path == b"x.lock":
            return list(answers.content_to_parts(request.request, [bytes(500_000)] * 20)), ""
        return honest(request)

    bench.agent.on_request = flood
    async with running(bench):
        await bench.in_sync()
        offer(bench, "x.lock", b"small")
        notice = await bench.event(events.Notice)
        assert "larger than 1000 bytes" in notice.message
        offer(bench, "ok.lock", b"fine")
        await bench.event(events.Pulled)
        assert not (bench.home / "x.lock").exists()


async def test_what_was_asked_for_is_pulled_and_the_rest_waits(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)

    def sweep(request: messages.Request) -> tuple[Sequence[messages.Part], str]:
        if request.ask is messages.Ask.SWEEP:
            bench.agent.say(
                messages.Findings(
                    0, (), 0, (), 0, 0, tuple((each, fake_agent.file_entry(b"new")) for each in (b"a.lock", b"b.lock"))
                )
            )
            return (), ""
        return bench.agent.answer(request)

    bench.agent.bodies |= {"a.lock": b"new", "b.lock": b"new"}
    async with running(bench):
        await bench.in_sync()
        bench.agent.on_request = sweep
        pulled = await bench.service.pull(["b.lock"])
        assert "b.lock" in {each.path for each in pulled} | {each.path for each in bench.all_of(events.Pulled)}
        await bench.until(lambda: len(bench.all_of(events.Pulled)) == 2)
        assert (bench.home / "a.lock").read_bytes() == b"new"


async def test_nothing_is_pulled_before_it_is_known_what_was_acked(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    bench.write("x.lock", "old")
    held: list[messages.Request] = []

    def hold(request: messages.Request) -> tuple[Sequence[messages.Part], str]:
        held.append(request)
        return bench.agent.answer(request)

    # The agent has the very file, and tells of the app's version as soon as the link is open.
    bench.agent.trees[0].put("x.lock", fake_agent.file_entry(b"old"))
    bench.agent.trees[0].put("other", fake_agent.file_entry(b"other"))
    bench.agent.fresh = False
    bench.agent.on_request = hold
    bench.agent.on_open = lambda: offer(bench, "x.lock", b"new")
    async with running(bench):
        pulled = await bench.event(events.Pulled)
        assert pulled.conflict == ""
        assert held[0].ask is messages.Ask.MANIFEST
        assert (bench.home / "x.lock").read_bytes() == b"new"


async def test_without_a_link_nothing_is_pulled(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    with pytest.raises(errors.LinkError, match="not connected"):
        await bench.service.pull([])


async def test_an_executable_file_stays_one(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    async with running(bench):
        await bench.in_sync()
        bench.agent.bodies["made/run.py"] = b"#!/bin/sh\n"
        content = fake_agent.file_entry(b"#!/bin/sh\n")
        what = entry.file(content.digest, content.size, executable=True)
        bench.agent.say(messages.Findings(0, (), 0, (), 0, 0, ((b"made/run.py", what),)))
        await bench.event(events.Pulled)
        assert os.access(bench.home / "made" / "run.py", os.X_OK)


async def test_a_pull_that_is_found_together_with_drift_is_not_left_waiting(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    bench.write("a", "mine")
    async with running(bench):
        await bench.in_sync()
        bench.agent.bodies["x.lock"] = b"made"
        was = fake_agent.file_entry(b"mine")
        drift = (messages.WireDrift(b"a", was, fake_agent.file_entry(b"theirs")),)
        found = ((b"x.lock", fake_agent.file_entry(b"made")),)
        bench.agent.say(messages.Findings(0, drift, 1, (), 0, 0, found))
        await bench.event(events.Pulled)
        assert (bench.home / "x.lock").read_bytes() == b"made"


# ---- who does the work, and what the laptop's file is compared with -------------------------------------------

SHIPPED, CHANGED = b"shipped", b"changed by the app"


def findings(*, drifted: bool) -> messages.Findings:
    drift = (
        (messages.WireDrift(b"a.py", fake_agent.file_entry(SHIPPED), fake_agent.file_entry(CHANGED)),)
        if drifted
        else ()
    )
    return messages.Findings(0, drift, len(drift), (), 0, 0, ((b"a.py", fake_agent.file_entry(CHANGED)),))


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
        assert (ask, root, path, digest) == (messages.Ask.PULL, 0, "a.py", fake_agent.file_entry(CHANGED).digest)
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
        known = [tree.Tree({"a.py": fake_agent.file_entry(CHANGED)})]
        self.replicas = {"pod": SimpleNamespace(known=known, up=True, ready=[True])}
        self.sources = [SimpleNamespace(scanned=True)]

    def pulled(self, name: str, root: int, path: str, now: entry.Entry, now_s: float) -> list[Any]:
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
