"""One agent and the link to it: claims, ends, questions, and what an agent may not say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from devloop import errors
from devloop.core import backoff, entry, tree
from devloop.core.entry import Entry
from devloop.daemon import aftermath, claim, manifest, replica, requests
from devloop.fs import body
from devloop.protocol import answers, messages, session, version
from devloop.protocol import commands as protocol_commands
from devloop.state import baseline
from devloop.sync import commands, dispatch, engine, events, ledger, sender
from devloop.wire import driver
from tests.unit.daemon import fake_agent, service_bench

T = TypeVar("T")


class NoBases:
    def get(self, digest: bytes) -> bytes | None:
        return None


class Bench:
    """A replica with a real engine and sender, over a folder of files."""

    def __init__(self, folder: Path, pool: ThreadPoolExecutor, **said: Any) -> None:
        self.folder = folder
        self.agent = fake_agent.FakeAgent()
        self.events: list[events.Event] = []
        self.findings: list[messages.Findings] = []
        self.carried: list[commands.Command] = []
        self.more = asyncio.Event()
        self.first_part, self.first_scan = asyncio.Event(), asyncio.Event()
        self.first_part.set()
        self.first_scan.set()
        self.brain = engine.Engine([ledger.Source()], lambda changes: ())
        self.stored = baseline.Baseline(str(folder / "state" / "baseline.log"))
        self.pool = pool
        self.replica = replica.Replica(
            self.agent,
            claim.Claimant(
                said.get("session", "mine"),
                said.get("owner", "me@here"),
                said.get("takeover", False),
                (messages.SyncSpec("/app"),),
                messages.AppSpec(messages.ReloadMode.NONE),
            ),
            self.brain,
            carry_out=self.carry_out,
            make_sender=self.make_sender,
            rules=lambda: [messages.Rules(0, b"", 0, b"")],
            stored=lambda root, tree_id: self.stored.load(tree_id),
            store=pool,
            listed=lambda root: frozenset(),
            still_there=lambda root, found: (),
            begun=self.first_part,
            scanned=self.first_scan,
            rewrite=lambda text: text.replace("/app/", "web/"),
            on_findings=self.findings.append,
            publish=self.publish,
        )

    def publish(self, event: events.Event) -> None:
        self.events.append(event)
        self.more.set()

    def carry_out(self, found: object) -> None:
        assert isinstance(found, list)
        for command in found:
            self.carried.append(command)
            if isinstance(command, commands.Send):
                self.replica.send(command.batch)
            elif isinstance(command, commands.AskManifest):
                self.replica.ask_manifest(command.root)
            elif isinstance(command, commands.Distrust):
                self.replica.distrust(command.root)
            elif isinstance(command, commands.CancelBodies):
                self.replica.cancel(command.batch, command.ops)
            elif isinstance(command, commands.ResetBaseline):
                self.pool.submit(self.stored.reset, command.tree_id, self.brain.replicas[self.agent.name].known[0])
            elif isinstance(command, commands.SaveBaseline):
                self.pool.submit(self.stored.update, command.delta)
        self.more.set()

    def make_sender(self, link: driver.Driver, features: frozenset[str]) -> sender.Sender:
        return sender.Sender(
            link, [self.open_body], NoBases(), self.pool, features, level=lambda: 0, piece_bytes=lambda: 60_000
        )

    def open_body(self, path: str, expected: Entry) -> body.Body:
        return body.Body(path, str(self.folder / path), expected)

    def put(self, path: str, content: bytes) -> None:
        """Save a file, as if a scan had found it."""
        (self.folder / path).write_bytes(content)
        self.scanned(tree.TreeDelta({path: fake_agent.file_entry(content)}))

    def scanned(self, delta: tree.TreeDelta) -> None:
        self.carry_out(self.brain.scanned(0, delta, asyncio.get_running_loop().time()))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.more.clear()
                await self.more.wait()

    async def event(self, kind: type[T], accept: Callable[[T], bool] = lambda event: True) -> T:
        await self.until(lambda: any(isinstance(each, kind) and accept(each) for each in self.events))
        return next(each for each in self.events if isinstance(each, kind) and accept(each))

    async def in_sync(self) -> None:
        await self.until(lambda: self.brain.in_sync)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.0)
    monkeypatch.setattr(backoff.delays, "__kwdefaults__", {"first_s": 0.001, "longest_s": 0.01})


@pytest.fixture
async def bench(tmp_path: Path, pool: ThreadPoolExecutor) -> Bench:
    return Bench(tmp_path, pool)


@contextlib.asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[asyncio.Task[None]]:
    async with service_bench.alive(bench.replica.run, deadline_s=30) as task:
        yield task


async def fatal(bench: Bench) -> errors.DevloopError:
    """Run until the replica gives up, and return why."""
    return await service_bench.failure(bench.replica.run)


async def test_what_is_saved_arrives_and_is_in_sync(bench: Bench) -> None:
    bench.put("a", b"content of a")
    async with running(bench):
        await bench.in_sync()
        assert bench.agent.bodies == {"a": b"content of a"}
        bench.put("b", b"more")
        await bench.in_sync()
        assert (bench.replica.up, bench.replica.detail) == (True, "")
        assert bench.replica.statistics
    assert [bench.replica.up] == [False]
    assert any(isinstance(each, messages.Rules) for each in bench.agent.heard)


async def test_an_empty_target_is_used_as_soon_as_something_is_known(bench: Bench) -> None:
    bench.agent.empty = True
    bench.first_scan.clear()
    async with running(bench):
        await bench.event(events.LinkChanged, lambda event: event.up)
        found = {f"{number}": fake_agent.file_entry(b"x") for number in range(dispatch.PART_OPS + 1)}
        for path in found:
            (bench.folder / path).write_bytes(b"x")
        bench.carry_out(bench.brain.growing(0, tree.TreeDelta(found), 0.0, began_s=0.0))
        await bench.until(lambda: len(bench.agent.bodies) == dispatch.PART_OPS)
        assert not bench.brain.in_sync
        bench.scanned(tree.TreeDelta())
        await bench.in_sync()
    assert len(bench.agent.bodies) == len(found)


async def test_a_target_that_holds_something_waits_for_the_whole_scan(bench: Bench) -> None:
    bench.first_scan.clear()
    async with running(bench):
        await bench.agent.told(session.Opened)
        assert not bench.replica.up
        bench.first_scan.set()
        await bench.event(events.LinkChanged, lambda event: event.up)


async def test_a_broken_link_is_opened_again_and_what_was_lost_is_sent(bench: Bench) -> None:
    bench.put("a", b"1")
    async with running(bench):
        await bench.in_sync()
        bench.agent.on_commit = lambda batch, changes: bench.agent.end.cut() if bench.agent.end else None
        bench.put("b", b"2")
        down = await bench.event(events.LinkChanged, lambda event: not event.up)
        assert down.detail and down.retry_s >= 0
        bench.agent.on_commit = bench.agent.apply
        await bench.in_sync()
        assert bench.agent.links >= 2
        assert set(bench.agent.trees[0]) == {"a", "b"}
        hellos = [each for each in bench.agent.heard if isinstance(each, messages.LaptopHello)]
        assert {each.epoch for each in hellos} == {1}


async def test_a_restarted_laptop_knows_from_its_baseline_what_is_there(bench: Bench, tmp_path: Path) -> None:
    bench.put("a", b"1")
    async with running(bench):
        await bench.in_sync()
    again = Bench(tmp_path, bench.pool)
    again.agent.trees, again.agent.fresh = bench.agent.trees, False
    again.put("a", b"1")
    again.put("b", b"2")
    async with running(again):
        await again.in_sync()
    assert not any(isinstance(each, commands.AskManifest) for each in again.carried)
    (sent,) = [each.batch for each in again.carried if isinstance(each, commands.Send)]
    assert [op.path for op in sent.ops] == ["b"]


async def test_without_a_baseline_the_manifest_is_asked_for(bench: Bench) -> None:
    bench.agent.fresh = False
    bench.agent.trees[0].put("old", fake_agent.file_entry(b"old"))
    bench.put("a", b"1")
    async with running(bench):
        await bench.until(lambda: "a" in bench.agent.trees[0] and bench.brain.settled)
    assert any(isinstance(each, commands.AskManifest) for each in bench.carried)
    assert "old" not in bench.agent.trees[0]


async def test_an_agent_that_holds_nothing_any_more_is_known_from_its_baseline(bench: Bench) -> None:
    bench.brain.expected(bench.agent.name)
    bench.agent.fresh = False
    bench.put("a", b"1")
    async with running(bench):
        await bench.in_sync()
    assert not any(isinstance(each, commands.AskManifest) for each in bench.carried)


# ---- claims -------------------------------------------------------------------------------------------------


async def test_somebody_elses_session_is_not_taken(bench: Bench) -> None:
    bench.agent.held, bench.agent.session, bench.agent.owner, bench.agent.epoch = True, "hers", "ann@there", 3
    error = await fatal(bench)
    assert isinstance(error, errors.OwnedError)
    assert error.owner == "ann@there" and "--takeover" in error.hint
    assert not any(isinstance(each, messages.LaptopHello) for each in bench.agent.heard)


@pytest.mark.parametrize("why", ["takeover", "same owner", "same session", "not held"])
async def test_a_session_is_taken_where_that_is_meant(tmp_path: Path, pool: ThreadPoolExecutor, why: str) -> None:
    bench = Bench(tmp_path, pool, takeover=why == "takeover")
    bench.agent.held, bench.agent.session, bench.agent.owner, bench.agent.epoch = True, "hers", "ann@there", 3
    if why == "same owner":
        bench.agent.owner = "me@here"
    elif why == "same session":
        bench.agent.session = "mine"
    elif why == "not held":
        bench.agent.held = False
    async with running(bench):
        hello = await bench.agent.told(messages.LaptopHello)
        assert hello.epoch == (3 if why == "same session" else 4)


async def test_other_folders_and_trouble_with_a_root_end_the_service(bench: Bench) -> None:
    bench.agent.tos = ("/other",)
    assert "/other" in (await fatal(bench)).message
    bench.agent.tos = ("/app",)
    bench.agent.hello = lambda hello: msgspec.structs.replace(
        hello, roots=(msgspec.structs.replace(hello.roots[0], trouble="read-only"),)
    )
    error = await fatal(bench)
    assert "/app cannot be written: read-only" in error.message


async def test_a_wrong_key_ends_the_service(bench: Bench) -> None:
    bench.agent.key = b"x" * 64
    assert isinstance(await fatal(bench), errors.AuthError)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (messages.Refusal.OWNED, errors.OwnedError),
        (messages.Refusal.EPOCH, errors.OwnedError),
        (messages.Refusal.ROOTS, errors.AgentError),
        (messages.Refusal.MAJOR, errors.SkewError),
    ],
)
async def test_a_refusal_that_no_retry_mends_ends_the_service(
    bench: Bench, reason: messages.Refusal, kind: type[errors.DevloopError]
) -> None:
    bench.agent.on_open = lambda: bench.agent.say(messages.Bye(reason, "no", "do this", "ann@there"))
    error = await fatal(bench)
    assert isinstance(error, kind) and (error.message, error.hint) == ("no", "do this")


async def test_a_target_that_cannot_be_opened_is_tried_again(bench: Bench) -> None:
    bench.agent.refuse_open = errors.LinkError("nobody answers")
    bench.put("a", b"1")
    async with running(bench):
        await bench.event(events.LinkChanged, lambda event: event.detail == "nobody answers")
        bench.agent.refuse_open = None
        await bench.in_sync()


async def test_a_target_that_refuses_ends_the_service(bench: Bench) -> None:
    bench.agent.refuse_open = errors.AgentError("the roots overlap")
    assert (await fatal(bench)).message == "the roots overlap"


async def test_a_target_that_refuses_after_it_was_open_is_tried_again(bench: Bench) -> None:
    bench.put("a", b"1")
    async with running(bench):
        await bench.in_sync()
        bench.agent.refuse_open = errors.AgentError("the folder is read-only")
        assert bench.agent.end is not None
        bench.agent.end.cut()
        await bench.event(events.LinkChanged, lambda event: event.detail == "the folder is read-only")
        bench.agent.refuse_open = None
        bench.put("a", b"2")
        await bench.in_sync()


# ---- what the agent tells -----------------------------------------------------------------------------------


async def test_what_the_agent_tells_becomes_events(bench: Bench) -> None:
    async with running(bench):
        await bench.agent.told(session.Opened)
        bench.agent.say(messages.AppChanged("running", 42, 1))
        bench.agent.say(messages.HookStarted("install"))
        bench.agent.shout(messages.Output(1, "app", True, 2, b"at /app/x.py\nend\n"))
        bench.agent.say(messages.HookDone("install", False, "exit 1", 12))
        done = await bench.event(events.CommandDone)
        assert (done.name, done.ok, done.outcome, done.ms) == ("install", False, "exit 1", 12)
        assert (await bench.event(events.AppChanged)).pid == 42
        assert bench.replica.app is not None and bench.replica.app.phase == "running"
        output = await bench.event(events.Output)
        assert (output.lines, output.err, output.dropped) == (("at web/x.py", "end"), True, 2)


async def test_findings_are_kept_told_once_and_passed_on(bench: Bench) -> None:
    drift = messages.WireDrift(b"a", fake_agent.file_entry(b"1"), None)
    found = messages.Findings(0, (drift,), 1, (b"x",), 1, 3)
    async with running(bench):
        await bench.agent.told(session.Opened)
        for _ in range(2):
            bench.agent.say(found)
        over = messages.Findings(0, (), 0, (), 0, 3)
        bench.agent.say(over)
        bench.agent.say(messages.AppChanged("running", 1, 1))
        await bench.event(events.AppChanged)
    assert bench.replica.findings == {0: over}
    assert bench.findings == [found, found, over]
    told, ended = [each for each in bench.events if isinstance(each, events.Drifted)]
    assert (told.paths, told.count) == (("a",), 1)
    assert (ended.paths, ended.count) == ((), 0)


async def test_endless_output_is_taken_and_costs_no_memory(bench: Bench) -> None:
    raw = b"x" * 100_000 + b"\n"
    async with running(bench):
        await bench.agent.told(session.Opened)
        assert bench.agent.driver is not None
        for _ in range(300):
            await bench.agent.driver.send_bulk(messages.Output(1, "app", False, 0, raw))
        assert bench.replica.statistics is not None
        assert bench.replica.statistics.held_bytes < messages.Limits().total_credit_bytes


# ---- questions ----------------------------------------------------------------------------------------------


async def test_a_question_is_answered(bench: Bench) -> None:
    bench.agent.bodies["x"] = b"y" * 1_000_000
    async with running(bench):
        await bench.event(events.LinkChanged)
        parts = [part async for part in bench.replica.request(messages.Ask.PULL, path="x")]
        assert b"".join(map(answers.part_to_content, parts)) == b"y" * 1_000_000
        await bench.replica.ask(messages.Ask.SWEEP)


async def test_a_refused_question_is_an_agents_error(bench: Bench) -> None:
    async with running(bench):
        await bench.event(events.LinkChanged)
        bench.agent.on_request = lambda request: ((), "it may not be")
        with pytest.raises(errors.AgentError, match="it may not be"):
            await bench.replica.ask(messages.Ask.RESTART)


async def test_no_link_no_answer(bench: Bench) -> None:
    with pytest.raises(errors.LinkError, match="not connected"):
        await bench.replica.ask(messages.Ask.SWEEP)


async def test_a_link_that_ends_ends_the_question(bench: Bench) -> None:
    def cut(request: messages.Request) -> tuple[tuple[messages.Part, ...], str]:
        assert bench.agent.end is not None
        bench.agent.end.cut()
        return (), ""

    async with running(bench):
        await bench.event(events.LinkChanged)
        bench.agent.on_request = cut
        with pytest.raises(errors.LinkError, match="ended"):
            await bench.replica.ask(messages.Ask.SWEEP)


async def test_an_answer_that_takes_too_long_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "REQUEST_TIMEOUT_S", 0.05)
    async with running(bench):
        await bench.event(events.LinkChanged)
        bench.agent._respond = lambda request: None  # type: ignore[method-assign]
        with pytest.raises(errors.LinkError, match="did not answer"):
            await bench.replica.ask(messages.Ask.SWEEP)


async def test_who_leaves_an_answer_early_gives_its_credit_back(bench: Bench) -> None:
    bench.agent.bodies["x"] = bytes(range(256)) * 8000
    async with running(bench):
        await bench.event(events.LinkChanged)
        for _ in range(20):
            async with contextlib.aclosing(bench.replica.request(messages.Ask.PULL, path="x")) as parts:
                async for _part in parts:
                    break
        # 40 MB were promised, 16 MB is all the credit there is.
        await bench.replica.ask(messages.Ask.SWEEP)
        whole = [part async for part in bench.replica.request(messages.Ask.PULL, path="x")]
        assert sum(part.raw_size for part in whole) == 256 * 8000


# ---- what no honest agent says ------------------------------------------------------------------------------


async def test_a_manifest_without_end_is_cut_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MAX_ROWS", 100)
    bench.agent.fresh = False
    bench.agent.trees[0].put("x", fake_agent.file_entry(b"x"))
    rows = [answers.row(f"f{index}", fake_agent.file_entry(b"x"), True) for index in range(200)]
    bench.agent.on_request = lambda request: (list(answers.rows_to_parts(request.request, rows)), "")
    bench.put("a", b"1")
    async with running(bench):
        down = await bench.event(events.LinkChanged, lambda event: not event.up)
        assert "more than 100 paths" in down.detail


async def test_a_manifest_that_cannot_be_told_is_asked_for_again(bench: Bench) -> None:
    bench.agent.fresh = False
    bench.agent.trees[0].put("x", fake_agent.file_entry(b"x"))
    honest = bench.agent.on_request
    bench.agent.on_request = lambda request: ((), "Input/output error")
    bench.put("a", b"1")
    async with running(bench):
        down = await bench.event(events.LinkChanged, lambda event: not event.up)
        assert "Input/output error" in down.detail
        bench.agent.on_request = honest
        await bench.until(lambda: "a" in bench.agent.trees[0])


async def test_a_body_is_needed_of_what_has_none(bench: Bench) -> None:
    async with running(bench):
        await bench.event(events.LinkChanged)
        bench.agent.on_commit = lambda batch, changes: None
        bench.scanned(tree.TreeDelta({"d": entry.folder()}))
        await bench.until(lambda: any(isinstance(each, commands.Send) for each in bench.carried))
        (sent,) = [each.batch for each in bench.carried if isinstance(each, commands.Send)]
        while sent.number not in bench.agent._batches:
            await asyncio.sleep(0)
        assert bench.agent.driver is not None
        bench.agent.driver.session._queue(messages.Need(sent.number, (0,)))
        bench.agent.driver._frames.set()
        down = await bench.event(events.LinkChanged, lambda event: not event.up)
        assert "needed of what has none" in down.detail
        bye = await bench.agent.told(session.Closed)
        assert bye.error is not None and "needed" in bye.error.message


class Exec:
    """The app's container, as far as the laptop runs things there."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []
        self.more = asyncio.Event()

    async def run(self, argv: Sequence[str], *, cwd: str, env: dict[str, str], timeout_s: float) -> aftermath.Ran:
        self.ran.append(tuple(argv))
        self.more.set()
        return aftermath.Ran(0)


@pytest.mark.parametrize("runs", [True, False])
async def test_hooks_are_run_by_the_agent_or_where_it_cannot_by_the_laptop(bench: Bench, runs: bool) -> None:
    hook = messages.HookSpec("install", ("pip", "install"), "/app")
    bench.brain = bench.replica._brain = engine.Engine([ledger.Source()], lambda changes: (hook,))
    container = bench.agent.container = Exec()
    if runs:
        bench.agent.features |= {version.RUNS}
    bench.put("a", b"content of a")
    async with running(bench):
        await bench.in_sync()
        commit = await bench.agent.told(protocol_commands.CommitBatch)
        if runs:
            assert (commit.hooks, container.ran) == ((hook,), [])
        else:
            async with asyncio.timeout(20):
                await container.more.wait()
            assert (commit.hooks, commit.reload, container.ran) == ((), False, [("pip", "install")])
