"""One service at work, and what people ask of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from devloop import errors
from devloop.core import ops, problem
from devloop.protocol import commands, messages
from devloop.sync import events
from tests.unit.daemon import fake_agent, service_bench
from tests.unit.daemon.service_bench import running


async def test_a_save_arrives_and_is_told(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path)
    bench.write("a", "1")
    async with running(bench):
        await bench.in_sync()
        first = await bench.event(events.SyncComplete)
        assert (first.files, first.first) == (1, True)
        bench.write("b", "22")
        await bench.in_sync()
        assert bench.agent.bodies == {"a": b"1", "b": b"22"}
        second = bench.all_of(events.SyncComplete)[-1]
        assert (second.files, second.total_bytes, second.first) == (1, 2, False)
        (bench.home / "a").unlink()
        await bench.in_sync()
        assert "a" not in bench.agent.trees[0]
        started = [(each.files, each.deletes) for each in bench.all_of(events.SyncStarted)]
        # A look in the middle of a save sends it twice: empty, and as it is then.
        assert started[:2] == [(1, 0), (1, 0)]
        assert set(started[2:-1]) <= {(1, 0)}
        assert started[-1] == (0, 1)


async def test_the_app_is_started_once_everything_is_there(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path, command=["python", "app.py"], reload={"mode": "supervise"}, env={"A": "b"})
    bench.write("app.py")
    async with running(bench):
        await bench.agent.told(messages.Request, lambda request: request.ask is messages.Ask.START)
        assert "app.py" in bench.agent.trees[0]
        hello = await bench.agent.told(messages.LaptopHello)
        assert (hello.app.command, hello.app.cwd, hello.app.env) == (("python", "app.py"), "/app", {"A": "b"})
        await bench.service.restart()
        await bench.agent.told(messages.Request, lambda request: request.ask is messages.Ask.RESTART)


async def test_an_agent_that_cannot_start_the_app_is_a_notice_and_not_the_end(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path, command=["python"], reload={"mode": "supervise"})
    honest = bench.agent.on_request

    def refuse(request: messages.Request) -> tuple[Sequence[messages.Part], str]:
        return ((), "no such command") if request.ask is messages.Ask.START else honest(request)

    bench.agent.on_request = refuse
    async with running(bench):
        notice = await bench.event(events.Notice)
        assert "no such command" in notice.message
        bench.write("a")
        await bench.in_sync()


async def test_without_a_command_there_is_nothing_to_restart(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path)
    with pytest.raises(errors.UsageError, match="no command to restart"):
        await bench.service.restart()


async def test_the_snapshot_tells_the_state(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path)
    bench.write("a", "1")
    assert bench.service.snapshot().state == "connecting"
    async with running(bench):
        await bench.in_sync()
        bench.write("a", "2")
        await bench.service.flush(10.0)
        await bench.in_sync()
        bench.agent.say(messages.AppChanged("running", 42, 1))
        bench.agent.say(messages.Findings(0, (), 0, (b"x",), 1, 2))
        await bench.event(events.AppChanged)
        await bench.until(lambda: bool(bench.service.replicas[bench.agent.name].findings))
        now = bench.service.snapshot()
        assert (now.state, now.saves, now.pending, now.held) == ("in sync", 2, 0, 0)
        assert 0 < now.save_p50_ms <= now.save_p95_ms
        assert now.app is not None and now.app.pid == 42
        (target,) = now.targets
        assert (target.up, target.synced, target.extra, target.protected, target.uid) == (True, True, 1, 2, 1000)
        (sync,) = now.syncs
        assert (sync.source, sync.to, sync.files, sync.total_bytes) == ("web", "/app", 1, 1)
        bench.service.set_paused(True)
        assert bench.service.state() == "paused"
        bench.write("a", "3")
        await bench.service.flush(10.0)
        assert bench.agent.bodies["a"] == b"2"
        bench.service.set_paused(False)
        await bench.in_sync()
        assert bench.agent.bodies["a"] == b"3"


async def test_a_service_that_gave_up_is_stopped(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path)
    bench.agent.refuse_open = errors.AgentError("the roots overlap")
    error = await service_bench.fatal(bench)
    assert error.message == "the roots overlap"
    bench.service.fatal = error
    assert bench.service.state() == "stopped"
    assert bench.service.snapshot().why == "the roots overlap"


async def test_that_all_is_in_sync_is_told_again_after_a_link_was_lost(tmp_path: Path) -> None:
    bench = pods(tmp_path)
    bench.write("a")
    async with running(bench):
        one = bench.join("one")
        await bench.in_sync()
        told = len(bench.all_of(events.SyncComplete))
        await bench.service.remove_replica("one")
        bench.join("one", of=one)
        await bench.until(lambda: len(bench.all_of(events.SyncComplete)) > told)
        assert bench.service.in_sync


async def test_a_path_in_trouble_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path)

    def refuse_bad(batch: int, changes: list[ops.Op]) -> None:
        good = [op for op in changes if op.path != "bad"]
        for op in good:
            assert op.entry is not None
            bench.agent.trees[0].put(op.path, op.entry)
        troubles = tuple(
            messages.WireProblem(0, b"bad", problem.Reason.NOT_WRITABLE, "read-only there", 30)
            for op in changes
            if op.path == "bad"
        )
        bench.agent.say(messages.Ack(batch, batch, (bench.agent.trees[0].digest,), troubles))

    bench.agent.on_commit = refuse_bad
    bench.write("good")
    bench.write("bad")
    async with running(bench):
        await bench.settled()
        assert bench.service.state() == "partial"
        assert "good" in bench.agent.trees[0]
        failed = await bench.event(events.SyncFailed)
        assert "1 path could not be synced" in failed.message
        (row,) = bench.service.snapshot().problems
        assert (row.path, row.reason, row.detail, row.side) == ("bad", "not-writable", "read-only there", "pod")
        rows = await bench.service.diff()
        assert [(each.path, each.what) for each in rows] == [("bad", "problem")]
        bench.agent.on_commit = bench.agent.apply
        bench.write("bad", "again")
        await bench.in_sync()
        assert bench.all_of(events.ProblemsChanged)[-1].count == 0


async def test_a_diff_tells_drift_extra_and_what_is_held(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path)
    for index in range(60):
        bench.write(f"f{index}")
    drift = (
        messages.WireDrift(b"f0", fake_agent.file_entry(b"x"), None),
        messages.WireDrift(b"f1", fake_agent.file_entry(b"x"), fake_agent.file_entry(b"y")),
    )

    def sweep(request: messages.Request) -> tuple[tuple[messages.Part, ...], str]:
        bench.agent.say(messages.Findings(0, drift, 2, (b"theirs",), 1, 0))
        return (), ""

    async with running(bench):
        await bench.in_sync()
        bench.service.set_paused(True)
        for index in range(30):
            (bench.home / f"f{index + 10}").unlink()
        await bench.service.flush(10.0)
        bench.service.set_paused(False)
        await bench.settled()
        assert bench.service.state() == "held"
        bench.agent.on_request = sweep
        rows = {(row.path, row.what) for row in await bench.service.diff()}
        assert {("f0", "drift-missing"), ("f1", "drift-changed"), ("theirs", "extra")} <= rows
        assert {("f10", "held-delete"), ("f39", "held-delete")} <= rows
        assert await bench.service.approve() == 30
        await bench.in_sync()
        assert len(bench.agent.trees[0]) == 30


async def test_a_lost_folder_stops_until_it_is_approved(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path)
    for index in range(30):
        bench.write(f"f{index}")
    async with running(bench):
        await bench.in_sync()
        # In one step, as an unmounted disk does it: file by file the first deletions could be a batch of their own.
        bench.home.rename(tmp_path / "elsewhere")
        bench.home.mkdir()
        stopped = await bench.event(events.Stopped)
        assert "web -> /app" in stopped.sync and stopped.reason
        assert bench.service.state() == "stopped"
        assert len(bench.agent.trees[0]) == 30
        await bench.service.approve()
        await bench.event(events.Resumed)


async def test_commands_run_on_their_side(tmp_path: Path) -> None:
    here = {"paths": ["*.txt"], "run": [sys.executable, "-c", "print('ran here')"], "in": "laptop", "name": "here"}
    there = {"paths": ["*.txt"], "run": ["make"], "in": "pod", "name": "there"}
    bench = service_bench.Bench(tmp_path, on_change=[here, there])
    async with running(bench):
        await bench.in_sync()
        bench.write("a.txt")
        done = await bench.event(events.CommandDone)
        assert (done.name, done.ok) == ("here", True)
        await bench.in_sync()
        commit = await bench.agent.told(commands.CommitBatch, lambda commit: bool(commit.hooks))
        assert [hook.name for hook in commit.hooks] == ["there"]


async def test_nothing_is_sent_before_a_build_has_succeeded(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    code = f"import os, sys; sys.exit(1) if not os.path.exists({str(flag)!r}) else open('out.js', 'w').write('built')"
    bench = service_bench.Bench(tmp_path, build={"run": [sys.executable, "-c", code], "when": ["*.ts"]})
    bench.write("a.ts", "1")
    async with running(bench):
        failed = await bench.event(events.CommandDone)
        assert not failed.ok
        await bench.until(lambda: bench.service.state() == "build failed")
        assert bench.agent.bodies == {}
        flag.touch()
        bench.write("a.ts", "2")
        await bench.until(lambda: bench.service.in_sync)
        assert bench.agent.bodies == {"a.ts": b"2", "out.js": b"built"}


async def test_two_syncs_travel_in_one_service(tmp_path: Path) -> None:
    shared = tmp_path / "project" / "shared"
    shared.mkdir(parents=True)
    (shared / "s").write_text("s")
    bench = service_bench.Bench(tmp_path, others=[{"from": str(shared), "to": "/shared"}])
    bench.write("a")
    async with running(bench):
        await bench.in_sync()
        assert [set(held) for held in bench.agent.trees] == [{"a"}, {"s"}]
        assert [sync.to for sync in bench.service.snapshot().syncs] == ["/app", "/shared"]


async def test_output_names_the_laptops_paths(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path)
    async with running(bench):
        await bench.in_sync()
        text = f"File {tmp_path}/target/app/x.py and /app/y.py\n".encode()
        bench.agent.shout(messages.Output(1, "app", True, 0, text))
        output = await bench.event(events.Output)
        assert output.lines == ("File web/x.py and web/y.py",)


async def test_a_stop_in_any_moment_leaves_nothing_behind(tmp_path: Path) -> None:
    for steps in (0, 1, 2, 5, 10, 20, 50, 100):
        bench = service_bench.Bench(tmp_path)
        bench.write("a", str(steps))
        async with running(bench):
            for _ in range(steps):
                await asyncio.sleep(0)


# ---- several agents -----------------------------------------------------------------------------------------


def pods(folder: Path, **more: Any) -> service_bench.Bench:
    """Return a service whose agents come and go."""
    return service_bench.Bench(folder, alone=False, **more)


def is_asked(agent: fake_agent.FakeAgent, ask: messages.Ask) -> bool:
    return any(isinstance(each, messages.Request) and each.ask is ask for each in agent.heard)


async def test_every_agent_gets_everything_and_it_is_in_sync_when_all_have_it(tmp_path: Path) -> None:
    bench = pods(tmp_path)
    bench.write("a", "1")
    async with running(bench):
        one, two = bench.join("one"), bench.join("two")
        await bench.in_sync()
        assert one.bodies == two.bodies == {"a": b"1"}
        late: list[tuple[int, list[ops.Op]]] = []

        def keep(batch: int, changes: list[ops.Op]) -> None:
            late.append((batch, changes))
            bench.more.set()

        two.on_commit = keep
        bench.write("b", "2")
        await bench.service.flush(10.0)
        await bench.until(lambda: "b" in bench.service.engine.replicas["one"].known[0] and bool(late))
        assert not bench.service.in_sync
        assert bench.service.state() == "syncing"
        assert [(each.name, each.synced) for each in bench.service.snapshot().targets] == [
            ("one", True),
            ("two", False),
        ]
        two.on_commit = two.apply
        two.apply(*late[0])
        await bench.until(lambda: bench.service.in_sync)
        assert two.bodies == {"a": b"1", "b": b"2"}
        assert all(each.synced for each in bench.service.snapshot().targets)


async def test_what_a_save_means_for_the_laptop_is_done_once(tmp_path: Path) -> None:
    here = {"paths": ["*.txt"], "run": [sys.executable, "-c", ""], "in": "laptop", "name": "here"}
    bench = pods(tmp_path, on_change=[here])
    async with running(bench):
        bench.join("one")
        bench.join("two")
        await bench.in_sync()
        bench.events.clear()
        # In one step, or a look in the middle of it finds an empty file, which is another save.
        (tmp_path / "a.txt").write_text("1")
        (tmp_path / "a.txt").rename(bench.home / "a.txt")
        await bench.in_sync()
        await bench.event(events.CommandDone)
        assert len(bench.all_of(events.SyncStarted)) == len(bench.all_of(events.SyncComplete)) == 1
        assert [each.name for each in bench.all_of(events.CommandStarted)] == ["here"]
        assert bench.service.snapshot().saves == 1


async def test_an_agent_that_is_removed_is_forgotten(tmp_path: Path) -> None:
    bench = pods(tmp_path)
    async with running(bench):
        one, two = bench.join("one"), bench.join("two")
        await bench.in_sync()
        two.on_commit = lambda batch, changes: None
        bench.write("a")
        await bench.service.flush(10.0)
        await bench.until(lambda: "a" in one.trees[0])
        assert not bench.service.in_sync
        await bench.service.remove_replica("two")
        assert two.driver is None
        assert [each.name for each in bench.service.snapshot().targets] == ["one"]
        await bench.in_sync()
        bench.write("b")
        await bench.in_sync()
        assert set(one.trees[0]) == {"a", "b"}
        await bench.service.remove_replica("two")


async def test_an_agent_that_comes_later_gets_all(tmp_path: Path) -> None:
    bench = pods(tmp_path)
    bench.write("a", "1")
    bench.write("b", "2")
    async with running(bench):
        one = bench.join("one")
        await bench.in_sync()
        two = bench.join("two")
        assert not bench.service.in_sync
        await bench.until(lambda: bench.service.in_sync)
        assert one.bodies == two.bodies == {"a": b"1", "b": b"2"}


async def test_the_last_agent_may_go_and_its_name_may_come_again(tmp_path: Path) -> None:
    bench = pods(tmp_path)
    bench.write("a")
    async with running(bench):
        assert bench.service.state() == "connecting"
        bench.join("one")
        await bench.in_sync()
        await bench.service.remove_replica("one")
        assert bench.all_of(events.LinkChanged)[-1].gone
        assert not bench.service.in_sync
        assert bench.service.state() == "connecting"
        bench.service.set_trouble("deployment/web has no pods")
        assert bench.service.snapshot().why == "deployment/web has no pods"
        bench.service.set_trouble("")
        again = bench.join("one")
        await bench.until(lambda: bench.service.in_sync)
        assert "a" in again.bodies


async def test_one_that_cannot_be_used_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    bench = pods(tmp_path)
    bench.write("a", "1")
    async with running(bench):
        one = bench.join("one")
        await bench.in_sync()
        two = fake_agent.FakeAgent(bench.agent.tos, "two")
        two.held, two.session, two.owner = True, "hers", "ann@there"
        bench.service.add_replica(two)
        notice = await bench.event(events.Notice)
        assert (notice.level, notice.code) == (events.Level.ERROR, errors.OwnedError("").error_code)
        assert "two" in notice.message and "ann@there" in notice.message
        bench.write("a", "2")
        await bench.service.flush(10.0)
        await bench.until(lambda: one.bodies["a"] == b"2" and bench.service.engine.replicas["one"].synced)
        assert bench.service.state() == "partial"
        (_, row) = bench.service.snapshot().targets
        assert (row.name, row.up) == ("two", False) and "ann@there" in row.detail
        await bench.service.remove_replica("two")
        await bench.in_sync()


async def test_the_only_agent_that_cannot_be_used_ends_the_service(tmp_path: Path) -> None:
    bench = service_bench.Bench(tmp_path)
    bench.agent.held, bench.agent.session, bench.agent.owner = True, "hers", "ann@there"
    assert isinstance(await service_bench.fatal(bench), errors.OwnedError)


async def test_each_app_is_started_when_its_files_are_there_and_all_are_restarted(tmp_path: Path) -> None:
    bench = pods(tmp_path, command=["python", "app.py"], reload={"mode": "supervise"})
    bench.write("app.py")
    async with running(bench):
        one, two = bench.join("one"), bench.join("two")
        for agent in (one, two):
            await agent.told(messages.Request, lambda request: request.ask is messages.Ask.START)
            assert "app.py" in agent.trees[0]
        await bench.service.restart()
        assert is_asked(one, messages.Ask.RESTART) and is_asked(two, messages.Ask.RESTART)
        two.say(messages.AppChanged("running", 42, 1))
        await bench.event(events.AppChanged)
        app = bench.service.snapshot().app
        assert app is not None and app.pid == 42


async def test_a_diff_names_the_target(tmp_path: Path) -> None:
    bench = pods(tmp_path)
    bench.write("a")
    async with running(bench):
        for name, extra in (("one", b"mine"), ("two", b"theirs")):
            agent = bench.join(name)
            await bench.link_of(name)

            def sweep(
                request: messages.Request, agent: fake_agent.FakeAgent = agent, extra: bytes = extra
            ) -> tuple[Sequence[messages.Part], str]:
                agent.say(messages.Findings(0, (), 0, (extra,), 1, 0))
                return (), ""

            agent.on_request = sweep
        await bench.in_sync()
        rows = await bench.service.diff()
        assert [(each.target, each.path, each.what) for each in rows] == [
            ("one", "mine", "extra"),
            ("two", "theirs", "extra"),
        ]
        assert [each.extra for each in bench.service.snapshot().targets] == [1, 1]


async def test_each_agents_baseline_is_its_own(tmp_path: Path) -> None:
    bench = pods(tmp_path)
    bench.write("a", "1")
    async with running(bench):
        one, two = bench.join("one"), bench.join("two")
        await bench.in_sync()
        await bench.service.remove_replica("two")
        bench.write("a", "2")
        await bench.in_sync()
    # The two hold different trees, and the laptop a third one: only the baselines can tell.
    bench.write("a", "3")
    again = pods(tmp_path)
    async with running(again):
        new = again.join("one", of=one), again.join("two", of=two)
        await again.in_sync()
        assert not any(is_asked(agent, messages.Ask.MANIFEST) for agent in new)
        assert all(agent.bodies == {"a": b"3"} for agent in new)


async def test_files_are_pulled_from_the_first_agent_that_is_up(tmp_path: Path) -> None:
    bench = pods(tmp_path, sync={"pull": ["*.lock"]})
    bench.write("a")

    def offer(agent: fake_agent.FakeAgent, content: bytes) -> None:
        agent.bodies["x.lock"] = content
        agent.say(messages.Findings(0, (), 0, (), 0, 0, ((b"x.lock", fake_agent.file_entry(content)),)))

    async with running(bench):
        with pytest.raises(errors.LinkError, match="not connected"):
            await bench.service.pull([])
        one = bench.join("one")
        await bench.link_of("one")
        two = bench.join("two")
        await bench.link_of("two")
        await bench.in_sync()
        offer(two, b"of the second")
        two.say(messages.AppChanged("running", 1, 1))
        await bench.event(events.AppChanged)
        assert await bench.service.pull([]) == []
        offer(one, b"of the first")
        await bench.event(events.Pulled)
        assert (bench.home / "x.lock").read_bytes() == b"of the first"
        # The others get it as they get any file.
        await bench.until(lambda: bench.service.in_sync and two.bodies["x.lock"] == b"of the first")


async def test_what_the_second_had_found_is_pulled_when_the_first_is_gone(tmp_path: Path) -> None:
    bench = pods(tmp_path, sync={"pull": ["*.lock"]})
    async with running(bench):
        bench.join("one")
        await bench.link_of("one")
        two = bench.join("two")
        await bench.in_sync()
        two.bodies["x.lock"] = b"found"
        two.say(messages.Findings(0, (), 0, (), 0, 0, ((b"x.lock", fake_agent.file_entry(b"found")),)))
        two.say(messages.AppChanged("running", 1, 1))
        await bench.event(events.AppChanged)
        assert not bench.all_of(events.Pulled)
        await bench.service.remove_replica("one")
        await bench.event(events.Pulled)
        assert (bench.home / "x.lock").read_bytes() == b"found"
