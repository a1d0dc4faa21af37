"""What `status` and `diff` show, from what an engine and its replicas are."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from devloop import errors
from devloop.core import entry, ops, problem, tree
from devloop.daemon import announcer, overview, replica
from devloop.protocol import messages
from devloop.sync import commands, engine, events, ledger

ONE = entry.file(bytes(32), 1)


def an_agent(name: str, *, up: bool = True, **more: Any) -> replica.Replica:
    said = {"detail": "", "hello": None, "app": None, "findings": {}, "statistics": None, "fatal": None, **more}
    return cast(replica.Replica, SimpleNamespace(name=name, up=up, **said))


def named(*replicas: replica.Replica) -> Mapping[str, replica.Replica]:
    return {one.name: one for one in replicas}


def synced(*names: str) -> engine.Engine:
    """Return the engine of a service whose agents have everything."""
    brain = engine.Engine([ledger.Source()], lambda changes: ())
    brain.scanned(0, tree.TreeDelta({"a": ONE}), 0.0)
    state = messages.RootState("/app", "t", tree.Tree({"a": ONE}).digest, 1, fresh=False)
    for name in names:
        brain.expected(name)
    for name in names:
        brain.opened(name, [state], {}, 0.0)
    return brain


def state(brain: engine.Engine, *replicas: replica.Replica, fatal: bool = False, build_failed: bool = False) -> str:
    return overview.state(brain, named(*replicas), fatal=fatal, build_failed=build_failed)


def test_a_service_is_in_sync_when_its_engine_is() -> None:
    brain = synced("one", "two")
    one, two = an_agent("one"), an_agent("two")
    assert state(brain, one, two) == "in sync"
    brain.closed("two")
    two = an_agent("two", up=False)
    assert state(brain, one, two) == "syncing"
    assert state(brain, an_agent("one", up=False), two) == "connecting"
    assert state(brain) == "connecting"


def test_what_stands_in_the_way_comes_first() -> None:
    brain = synced("one")
    one = an_agent("one")
    brain.replicas["one"].drift[0, "a"] = None
    assert state(brain, one) == "drifted"
    brain.replicas["one"].problems[0, "a"] = problem.Problem("a", problem.Reason.NO_SPACE, "full")
    assert state(brain, one) == "partial"
    brain.replicas["one"].hold(ops.delete(0, "a"))
    assert state(brain, one) == "held"
    brain.pause()
    assert state(brain, one) == "paused"
    assert state(brain, one, build_failed=True) == "build failed"
    brain.stopped(0, "unmounted")
    assert state(brain, one, build_failed=True) == "stopped"


@pytest.mark.parametrize(("lost", "word"), [(1, "partial"), (2, "stopped")])
def test_agents_that_gave_up_are_not_waited_for_in_silence(lost: int, word: str) -> None:
    brain = synced("one", "two")
    brain.closed("one")
    fatal = [errors.AgentError("no") if number < lost else None for number in range(2)]
    agents = [an_agent(name, up=why is None, fatal=why) for name, why in zip(("one", "two"), fatal, strict=True)]
    assert state(brain, *agents) == word
    assert state(synced("one"), an_agent("one"), fatal=True) == "stopped"


def test_a_status_has_a_row_for_each_agent() -> None:
    brain = synced("one", "two")
    brain.replicas["two"].hold(ops.delete(0, "x"))
    brain.replicas["two"].pending[0, "y"] = None
    brain.replicas["two"].flights[16] = commands.Batch(16, (ops.delete(0, "y"), ops.delete(0, "z")))
    app = events.AppChanged(phase="running", pid=7, starts=2, detail="")
    found = messages.Findings(0, (messages.WireDrift(b"a", ONE, None),), 1, (b"x",), 2, 3)
    agents = named(an_agent("one", detail="why"), an_agent("two", app=app, findings={0: found}))
    told = announcer.Announcer(brain, lambda event: None)
    pods = overview.Pods({"two": "ready", "three": "no agent in it"}, "nobody is there")
    row = overview.service("web", "syncing", brain, agents, [], told, pods)
    assert row.why == "nobody is there"
    assert (row.name, row.state, row.held, row.pending) == ("web", "syncing", 1, 3)
    assert row.app is not None and (row.app.pid, row.app.starts) == (7, 2)
    one, two, three = row.targets
    assert (three.name, three.up, three.synced, three.detail) == ("three", False, False, "no agent in it")
    assert [each.state for each in row.targets] == ["", "ready", "no agent in it"]
    assert (one.name, one.detail, one.drift, one.uid, one.synced) == ("one", "why", 0, -1, True)
    assert (two.name, two.drift, two.extra, two.protected) == ("two", 1, 2, 3)


def test_a_diff_has_rows_for_each_agent() -> None:
    brain = synced("one", "two")
    brain.replicas["one"].hold(ops.delete(0, "held"))
    brain.replicas["two"].pending.update({(0, "a"): None, (0, "gone"): None})
    brain.replicas["two"].problems[0, "bad"] = problem.Problem("bad", problem.Reason.NO_SPACE, "full")
    brain.sources[0].problems = {"pipe": problem.Problem("pipe", problem.Reason.SPECIAL, "a pipe")}
    drift = (messages.WireDrift(b"d", ONE, None), messages.WireDrift(b"e", ONE, ONE))
    found = messages.Findings(0, drift, 2, (b"x",), 1, 0)
    agents = [an_agent("one", findings={0: found}), an_agent("two"), an_agent("unknown")]
    rows = overview.differences("web", ["/app"], brain, agents)
    assert {row.service for row in rows} == {"web"}
    assert [(row.target, row.to, row.path, row.what) for row in rows] == [
        ("one", "/app", "d", "drift-missing"),
        ("one", "/app", "e", "drift-changed"),
        ("one", "/app", "x", "extra"),
        ("one", "/app", "held", "held-delete"),
        ("one", "", "pipe", "problem"),
        ("two", "/app", "a", "pending-put"),
        ("two", "/app", "gone", "pending-delete"),
        ("two", "", "pipe", "problem"),
        ("two", "", "bad", "problem"),
        ("unknown", "", "pipe", "problem"),
    ]
