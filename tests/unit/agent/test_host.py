"""The agent over real roots: claims, manifests, sweeps, pulls, and what follows when links come and go."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from agent import claims, conversation, host, sweep
from devloop import errors
from devloop.core import rules
from devloop.protocol import answers, messages
from tests.unit.agent import linked, target

PRINT_FOREVER = "import time, sys\nprint('up', flush=True)\ntime.sleep(60)\n"


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "SWEEP_REST_S", 0.01)
    monkeypatch.setattr(host, "SWEEP_SHARE", 0.5)


async def test_hello_tells_what_is_there(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        first = await bench.link()
        assert first.hello is not None
        (root,) = first.hello.roots
        assert (root.to, root.fresh, root.managed, root.digest) == ("/r", True, 0, bytes(32))
        assert (first.hello.uid, first.hello.gid) == (os.geteuid(), os.getegid())
        ack = await first.batch({"a": "1", "b/c": "2"})
        second = await bench.link()
        assert second.hello is not None
        assert (second.hello.epoch, second.hello.held, second.hello.owner) == (1, True, "me@here")
        (root,) = second.hello.roots
        assert (root.fresh, root.managed, (root.digest,)) == (False, 3, ack.digests)
        assert second.hello.boot_id == first.hello.boot_id


async def test_a_claim_takes_over_and_the_other_is_told(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        ann = await bench.link(linked.hello("a", "ann@here"))
        bob = await bench.link(linked.hello("b", "bob@there"))
        await ann.ended()
        assert isinstance(ann.error, errors.OwnedError) and ann.error.owner == "bob@there"
        late, _ = bench.connect(linked.hello("a", "ann@here", epoch=1))
        await late.ended()
        assert isinstance(late.error, errors.OwnedError) and late.error.owner == "bob@there"
        assert (await bob.batch({"a": "1"})).refused == ""


async def test_what_a_replaced_link_left_open_does_not_disturb_the_next(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        ann = await bench.link(linked.hello("a"))
        ann.begin()  # the same number as the next link's first batch
        bob = await bench.link(linked.hello("b"))
        number = await bob.commit({"x": "1"})
        await ann.ended()
        ack = await bob.told(messages.Ack)
        assert ack.batch == number and not ack.problems


async def test_a_laptop_whose_picture_is_outdated_is_asked_to_come_again(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        ann = await bench.link(linked.hello("a"))
        bob, _ = bench.connect(linked.hello("b"))
        hold = asyncio.Event()
        claim = bench.agent.claim

        async def late(
            asking: conversation.Conversation, told: messages.AgentHello, hello: messages.LaptopHello
        ) -> messages.Bye | None:
            await hold.wait()
            return await claim(asking, told, hello)

        bench.agent.claim = late  # type: ignore[method-assign]
        await bob.told(messages.AgentHello)
        await ann.batch({"a": "1"})
        hold.set()
        await bob.ended()
        assert isinstance(bob.error, errors.LinkError) and "changed while" in bob.error.message
        again = await bench.link(linked.hello("b"))
        assert again.hello is not None and again.hello.roots[0].managed == 1


@pytest.mark.parametrize("syncs", [(), ("/other",), ("/r", "/r")])
async def test_other_roots_are_refused(tmp_path: Path, syncs: tuple[str, ...]) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop, _ = bench.connect(linked.hello(syncs=tuple(messages.SyncSpec(to) for to in syncs)))
        await laptop.ended()
        assert isinstance(laptop.error, errors.AgentError)
        assert claims.load(str(tmp_path / "agent" / "claim")) == claims.Claim()


@pytest.mark.parametrize("app", [{"signal": "NOPE"}, {"grace_s": float("nan")}, {"grace_s": -1.0}])
async def test_an_app_that_cannot_be_run_is_refused_with_the_reason(tmp_path: Path, app: dict[str, object]) -> None:
    spec = messages.AppSpec(messages.ReloadMode.SUPERVISE, ("true",), **app)  # type: ignore[arg-type]
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop, _ = bench.connect(linked.hello(app=spec))
        await laptop.ended()
        assert isinstance(laptop.error, errors.AgentError) and "cannot run the app" in laptop.error.message


async def test_the_claim_outlives_the_agent(tmp_path: Path) -> None:
    told = linked.told_in(tmp_path)
    async with linked.running(told) as bench:
        await bench.link(linked.hello("a", "ann@here"))
    async with linked.running(told) as bench:
        bob = await bench.link(linked.hello("b", "bob@there"))
        assert bob.hello is not None
        assert (bob.hello.epoch, bob.hello.session, bob.hello.owner) == (1, "a", "ann@here")
        assert not bob.hello.held


async def test_the_manifest_lists_what_is_managed_and_what_is_not(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop = await bench.link()
        await laptop.batch({"a": "1"})
        target.write_disk(tmp_path / "r" / "data", {"theirs": "2", "secret": "3"})
        laptop.driver.send(_rules("secret"))
        done = await laptop.ask(messages.Ask.MANIFEST)
        rows = [row for part in laptop.parts(done.request) for row in answers.part_to_rows(part)]
        assert {row.path: row.managed for row in rows} == {"a": True, "theirs": False}


async def test_before_the_rules_are_known_nothing_is_called_extra(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop = await bench.link()
        target.write_disk(tmp_path / "r" / "data", {"theirs": "2"})
        await laptop.ask(messages.Ask.SWEEP)
        assert (await laptop.told(messages.Findings)).extra_count == 0
        laptop.driver.send(_rules("secret"))
        found = await laptop.told(messages.Findings, lambda found: found.extra_count == 1)
        assert found.extra == (b"theirs",)


async def test_sweeps_find_drift_by_themselves_and_tell_the_next_link_too(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop = await bench.link()
        await laptop.batch({"a": "1", "b": "2"})
        (tmp_path / "r" / "data" / "a").write_text("other")
        found = await laptop.told(messages.Findings, lambda found: found.drift_count == 1)
        assert found.drift[0].path == b"a"
        again = await bench.link()
        assert (await again.told(messages.Findings)).drift_count == 1


async def test_a_sweep_that_fails_is_told_and_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = sweep.Sweep.step
    broken = threading.Event()
    broken.set()

    def fail(self: sweep.Sweep, budget_s: float) -> sweep.SweepReport | None:
        if broken.is_set():
            raise OSError(5, "the disk is on fire")
        return step(self, budget_s)

    monkeypatch.setattr(sweep.Sweep, "step", fail)
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop = await bench.link()
        line = await laptop.told(messages.Output)
        assert b"the disk is on fire" in line.data and line.source == "agent"
        done = await laptop.ask(messages.Ask.SWEEP)
        assert "on fire" in done.error
        broken.clear()
        await laptop.batch({"a": "1"})
        await laptop.ask(messages.Ask.SWEEP)
        assert [event for event in laptop.events if isinstance(event, messages.Output)] == [line]


async def test_a_pull_gives_what_a_sweep_found_and_nothing_else(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop = await bench.link(linked.hello(pull=("made/*.py",)))
        laptop.driver.send(_rules("secret"))
        await laptop.batch({"a": "1"})
        target.write_disk(tmp_path / "r" / "data", {"made/x.py": "made", "made/x.txt": "no", "secret": "s"})
        found = await laptop.told(messages.Findings, lambda found: bool(found.pulls))
        ((path, entry),) = found.pulls
        assert path == b"made/x.py"
        done = await laptop.ask(messages.Ask.PULL, 0, path, entry.digest)
        assert b"".join(map(answers.part_to_content, laptop.parts(done.request))) == b"made"
        for other in (b"made/x.txt", b"secret", b"a"):
            digest = hashlib.sha256(b"no").digest()
            assert "pull" in (await laptop.ask(messages.Ask.PULL, 0, other, digest)).error
        assert "pull" in (await laptop.ask(messages.Ask.PULL, 0, path, bytes(32))).error


async def test_a_file_that_changed_since_it_was_found_is_not_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop = await bench.link(linked.hello(pull=("*.py",)))
        laptop.driver.send(_rules())
        target.write_disk(tmp_path / "r" / "data", {"x.py": "made"})
        found = await laptop.told(messages.Findings, lambda found: bool(found.pulls))
        ((path, entry),) = found.pulls
        monkeypatch.setattr(host, "SWEEP_REST_S", 60.0)
        (tmp_path / "r" / "data" / "x.py").unlink()
        done = await laptop.ask(messages.Ask.PULL, 0, path, entry.digest)
        assert done.error


async def test_the_app_runs_is_restarted_and_its_lines_arrive(tmp_path: Path) -> None:
    spec = messages.AppSpec(messages.ReloadMode.SUPERVISE, (sys.executable, "app.py"), "/r", {"X": "y"}, grace_s=0.5)
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop = await bench.link(linked.hello(app=spec))
        await laptop.batch({"app.py": PRINT_FOREVER})
        await laptop.ask(messages.Ask.START)
        first = await laptop.told(messages.AppChanged, lambda app: app.pid > 0)
        assert (await laptop.told(messages.Output)).data == b"up\n"
        await laptop.ask(messages.Ask.RESTART)
        second = await laptop.told(messages.AppChanged, lambda app: app.pid not in {0, first.pid})
        assert second.starts == 2
        again = await bench.link(linked.hello("s", app=spec))
        assert (await again.told(messages.AppChanged)).pid == second.pid
    with pytest.raises(ProcessLookupError):
        os.kill(second.pid, 0)


async def test_lines_wait_for_the_next_link(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        bench.agent._launcher.note("said while nobody listened")
        first, end = bench.connect()
        assert b"nobody listened" in (await first.told(messages.Output)).data
        end.cut()
        await first.ended()
        bench.agent._launcher.note("said in between")
        second = await bench.link()
        assert b"in between" in (await second.told(messages.Output)).data


async def test_lines_find_the_link_that_opened_while_the_other_ended(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        first = await bench.link(linked.hello("a"))
        # Output that has no credit waits in the middle of the link's end.
        big = "x" * 15_000
        for _ in range(600):
            bench.agent._launcher.note(big)
        first.driver.consumed = lambda stream, cost: None  # type: ignore[method-assign]
        second = await bench.link(linked.hello("b"))
        bench.agent._launcher.note("the last line")
        await second.told(messages.Output, lambda out: b"the last line" in out.data)


async def test_a_root_that_is_no_folder_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "data").write_text("a file")
    agent = host.Agent(linked.told_in(tmp_path))
    with pytest.raises(errors.AgentError):
        await agent.in_thread(agent.open)
    await agent.in_thread(agent._close)
    agent._thread.shutdown()


def _rules(*patterns: str) -> messages.Rules:
    listed = rules.parse_lines(patterns, b"", "test")
    return answers.rules_to_message(0, rules.RuleSet((rules.Group(rules.Layer.CONFIG, b"", listed),)))


async def test_what_is_mounted_beneath_is_no_extra(tmp_path: Path) -> None:
    told = linked.told_in(tmp_path)
    kept = msgspec.structs.replace(told.roots[0], keep=("conf",))
    async with linked.running(msgspec.structs.replace(told, roots=(kept, *told.roots[1:]))) as bench:
        laptop = await bench.link()
        target.write_disk(tmp_path / "r" / "data", {"conf/theirs": "2", "theirs": "3"})
        laptop.driver.send(_rules("secret"))
        await laptop.ask(messages.Ask.SWEEP)
        found = await laptop.told(messages.Findings, lambda found: found.extra_count > 0)
        assert found.extra == (b"theirs",)
        done = await laptop.ask(messages.Ask.MANIFEST)
        rows = [row for part in laptop.parts(done.request) for row in answers.part_to_rows(part)]
        assert [row.path for row in rows] == ["theirs"]
