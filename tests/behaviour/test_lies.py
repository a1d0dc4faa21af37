"""An agent that lies, against the laptop's real service: nothing is written outside, nothing crashes, it is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from devloop.core import entry, ops, problem
from devloop.protocol import agent, codec, handshake, messages, outbox, version
from devloop.sync import events, flights
from tests.unit.daemon import fake_agent, service_bench
from tests.unit.daemon.service_bench import Bench, running

Answer = tuple[Sequence[messages.Part], str]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def bench_in(folder: Path) -> Bench:
    bench = service_bench.Bench(folder, sync={"pull": ["*.lock"]})
    (folder / "outside").write_text("precious")
    bench.write("app.py", "mine")
    bench.write("sub/x.py", "mine")
    return bench


def forge(bench: Bench, message: messages.Message) -> None:
    """Send what the agent's own session would never send."""
    assert bench.agent.driver is not None
    half = bench.agent.driver.session
    half._link.outbox.put(outbox.Item(codec._encoder.encode(message)), None)
    bench.agent.driver._frames.set()


DIGEST = bytes(32)
FILE = fake_agent.file_entry(b"evil")
ROW = messages.WireProblem(0, b"../../outside", problem.Reason.IO, "x" * 1000)

LIES: dict[str, Callable[[int], messages.Message]] = {
    "no digests": lambda batch: messages.Ack(batch, batch, ()),
    "too many digests": lambda batch: messages.Ack(batch, batch, (DIGEST,) * 50),
    "short digest": lambda batch: messages.Ack(batch, batch, (b"x",)),
    "another batch": lambda batch: messages.Ack(batch + 1, batch, (DIGEST,)),
    "problem of an unsafe path": lambda batch: messages.Ack(batch, batch, (DIGEST,), (ROW,)),
    "problem of another root": lambda batch: messages.Ack(
        batch, batch, (DIGEST,), (messages.WireProblem(9, b"x", problem.Reason.IO, ""),)
    ),
    "unsafe overwritten path": lambda batch: messages.Ack(batch, batch, (DIGEST,), (), ((0, b"/etc/passwd"),)),
    "needs of no op": lambda batch: messages.Need(batch, (10**6,)),
    "needs without end": lambda batch: messages.Need(batch, (0, 0, 0)),
    "answer to nothing": lambda batch: messages.Done(10**6),
    "part of nothing": lambda batch: messages.Part(10**6, 1, messages.Codec.RAW, b"x"),
    "findings of another root": lambda batch: messages.Findings(10**6, (), 0, (), 0, 0),
    "findings of an unsafe path": lambda batch: messages.Findings(0, (), 0, (b"../x",), 1, 0),
    "pull of an unsafe path": lambda batch: messages.Findings(0, (), 0, (), 0, 0, ((b"../../outside.lock", FILE),)),
    "pull of a link": lambda batch: messages.Findings(0, (), 0, (), 0, 0, ((b"x.lock", entry.link(b"/etc")),)),
    "credit for nothing": lambda batch: messages.Credit(2**60, ((batch, 2**60),)),
    "a laptop's word": lambda batch: messages.Commit(batch),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_ends_the_link_with_a_reason_and_an_honest_agent_is_served_again(tmp_path: Path, lie: str) -> None:
    bench = bench_in(tmp_path)
    before = snapshot(tmp_path / "project")
    bench.agent.on_commit = lambda batch, changes: forge(bench, LIES[lie](batch))
    async with running(bench):
        down = await bench.event(events.LinkChanged, lambda event: not event.up)
        assert down.detail
        bench.agent.on_commit = bench.agent.apply
        await bench.in_sync()
    assert snapshot(tmp_path / "project") == before
    assert (tmp_path / "outside").read_text() == "precious"


@pytest.mark.parametrize("path", [b"../x", b"/x", b"a/../../x", b"a\0b", b".git/x", b""])
async def test_a_manifest_with_an_unsafe_path_is_refused(tmp_path: Path, path: bytes) -> None:
    bench = bench_in(tmp_path)
    raw = msgspec.msgpack.encode([messages.ManifestRow(path, FILE, True)])

    def lie(request: messages.Request) -> Answer:
        if request.ask is messages.Ask.MANIFEST:
            return [messages.Part(request.request, len(raw), messages.Codec.RAW, raw)], ""
        return (), ""

    bench.agent.fresh = False
    bench.agent.trees[0].put("other", FILE)
    bench.agent.on_request = lie
    async with running(bench):
        down = await bench.event(events.LinkChanged, lambda event: not event.up)
        assert "not a manifest" in down.detail
        bench.agent.on_request = bench.agent.answer
        await bench.in_sync()


async def test_a_digest_that_is_always_wrong_is_never_called_in_sync(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)

    def lie(batch: int, changes: list[ops.Op]) -> None:
        bench.agent.say(messages.Ack(batch, batch, (os.urandom(32),)))

    bench.agent.on_commit = lie
    async with running(bench):
        down = await bench.event(events.LinkChanged, lambda event: not event.up)
        assert "stays wrong" in down.detail and down.retry_s > 0
        # Asked three times, sent four times: then it is left alone for a while, and each new link costs one of each.
        asked = [each for each in bench.agent.heard if isinstance(each, messages.Request)]
        assert [each.ask for each in asked].count(messages.Ask.MANIFEST) <= flights.MAX_DOUBTS + bench.agent.links
        assert len(bench.all_of(events.SyncStarted)) <= flights.MAX_DOUBTS + bench.agent.links
        await bench.until(lambda: len([each for each in bench.all_of(events.LinkChanged) if not each.up]) > 2)
        assert not bench.all_of(events.SyncComplete)
        assert bench.service.state() != "in sync"
        bench.agent.on_commit = bench.agent.apply
        await bench.in_sync()


async def test_an_agent_that_acks_and_never_applies_is_not_sent_to_without_pause(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    bench.agent.on_commit = lambda batch, changes: bench.agent.say(
        messages.Ack(batch, batch, (bench.agent.trees[0].digest,))
    )
    async with running(bench):
        await bench.event(events.LinkChanged, lambda event: not event.up)
        assert len(bench.all_of(events.SyncStarted)) <= flights.MAX_DOUBTS + bench.agent.links
        assert not bench.all_of(events.SyncComplete)


async def test_pulls_that_nobody_asked_for_write_nothing(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    async with running(bench):
        await bench.in_sync()
        before = snapshot(tmp_path / "project")
        names = [b"app.py", b"sub/x.py", b"new.py", b"devloop.yaml", b".gitignore", b".envrc", b"sub/new"]
        for name in names:
            bench.agent.bodies[name.decode()] = b"evil"
        bench.agent.say(messages.Findings(0, (), 0, (), 0, 0, tuple((name, FILE) for name in names)))
        bench.agent.say(messages.AppChanged("running", 1, 1))
        await bench.event(events.AppChanged)
        assert await bench.service.pull(["app.py", "new.py"]) == []
        assert snapshot(tmp_path / "project") == before
        pulls = [each for each in bench.agent.heard if isinstance(each, messages.Request)]
        assert not any(each.ask is messages.Ask.PULL for each in pulls)


async def test_endless_output_and_news_are_taken_and_work_goes_on(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    stop = asyncio.Event()

    async def flood() -> None:
        assert bench.agent.driver is not None
        number = 0
        while not stop.is_set():
            number += 1
            line = b"\x1b[2J\xff" * 20_000 + b"\n"
            await bench.agent.driver.send_bulk(messages.Output(1, "app\x1b[2J", False, 2**60, line))
            bench.agent.say(messages.AppChanged("running", number, 2**60, "x" * 1000))
            await asyncio.sleep(0)

    async with running(bench):
        await bench.in_sync()
        async with asyncio.TaskGroup() as group:
            group.create_task(flood())
            bench.write("app.py", "edited")
            await bench.in_sync()
            assert bench.agent.bodies["app.py"] == b"edited"
            stop.set()
        figures = bench.service.replicas[bench.agent.name].statistics
        assert figures is not None and figures.held_bytes <= messages.Limits().total_credit_bytes


async def test_absurd_figures_are_only_figures(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    huge = entry.file(DIGEST, 2**62)
    bench.agent.hello = lambda hello: msgspec.structs.replace(
        hello,
        uid=2**62,
        roots=(msgspec.structs.replace(hello.roots[0], managed=2**62, digest=b"x" * 10_000, fresh=False),),
    )
    async with running(bench):
        await bench.until(lambda: "app.py" in bench.agent.trees[0])
        await bench.settled()
        drift = (messages.WireDrift(b"app.py", huge, huge),)
        bench.agent.say(messages.Findings(0, drift, 2**62, (b"x",), 2**62, 2**62, ((b"x.lock", huge),)))
        notice = await bench.event(events.Notice)
        assert "larger than" in notice.message
        assert bench.service.snapshot().targets[0].drift == 2**62
        assert [row.path for row in await bench.service.diff()] == ["app.py", "x"]


async def test_an_agent_of_another_major_version_is_told_with_the_fix(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    nonce = messages.Nonce(handshake.MAGIC, version.MAJOR + 1, os.urandom(32), "9.9.9")
    half_of = agent.AgentSession.__init__

    def newer(self: agent.AgentSession, key: bytes, own: bytes, now_s: float) -> None:
        half_of(self, key, own, now_s)
        while self._link.outbox.take() is not None:
            pass
        self._link.outbox.put(outbox.Item(codec.encode(nonce)), None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent.AgentSession, "__init__", newer)
        error = await service_bench.fatal(bench)
    assert error.exit_status == 6
    assert "9.9.9" in error.message and "pip install --upgrade" in error.hint
