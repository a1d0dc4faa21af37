"""What somebody else changed in a target is left alone until the laptop changes it, and is never called in sync."""

from devloop.core import entry, ops, tree
from devloop.protocol import messages
from devloop.sync import commands, engine


def file(text: str) -> entry.Entry:
    return entry.file(bytes([len(text)]) * 32, len(text))


SHIPPED, FOREIGN, MINE = file("a"), file("bb"), file("ccc")


def synced(*paths: str) -> engine.Engine:
    """Return the engine of a service with one replica that has everything."""
    subject = engine.Engine([engine.Source()], lambda changes: ())
    wanted = dict.fromkeys(paths, SHIPPED)
    subject.scanned(0, tree.TreeDelta(wanted), 0.0)
    state = messages.RootState("/app", "t", tree.Tree(wanted).digest, len(wanted), fresh=False)
    found = subject.opened("pod", [state], {}, 0.0)
    assert any(isinstance(command, commands.Settled) for command in found)
    assert subject.in_sync
    return subject


def sends(found: list[commands.Command]) -> list[tuple[ops.Action, str]]:
    return [(op.action, op.path) for each in found if isinstance(each, commands.Send) for op in each.batch.ops]


def ack(subject: engine.Engine, number: int, now: dict[str, entry.Entry]) -> list[commands.Command]:
    return subject.acked("pod", messages.Ack(number, number, (tree.Tree(now).digest,)), {}, 1.0)


def test_drift_is_not_sent_over_and_not_called_in_sync() -> None:
    subject = synced("x", "y")
    found = subject.drifted("pod", 0, [("x", SHIPPED, FOREIGN)], 1.0, whole=True)
    assert sends(found) == []
    assert not subject.in_sync
    assert subject.settled
    assert subject.drift_count() == 1
    (settled,) = (command for command in found if isinstance(command, commands.Settled))
    assert settled.drifted == 1


def test_a_batch_that_does_not_touch_it_leaves_it_alone() -> None:
    subject = synced("x", "y")
    subject.drifted("pod", 0, [("x", SHIPPED, FOREIGN)], 1.0, whole=True)
    found = subject.scanned(0, tree.TreeDelta({"y": MINE}), 1.0)
    assert sends(found) == [(ops.Action.PUT, "y")]
    found = ack(subject, 16, {"x": FOREIGN, "y": MINE})
    assert not any(isinstance(command, commands.AskManifest) for command in found)
    assert subject.drift_count() == 1


def test_the_next_batch_that_touches_it_wins() -> None:
    subject = synced("x")
    subject.drifted("pod", 0, [("x", SHIPPED, None)], 1.0, whole=True)
    found = subject.scanned(0, tree.TreeDelta({"x": MINE}), 1.0)
    assert sends(found) == [(ops.Action.PUT, "x")]
    ack(subject, 16, {"x": MINE})
    assert subject.in_sync
    assert subject.drift_count() == 0


def test_drift_that_is_gone_again_is_forgotten() -> None:
    subject = synced("x")
    subject.drifted("pod", 0, [("x", SHIPPED, FOREIGN)], 1.0, whole=True)
    subject.drifted("pod", 0, [], 2.0, whole=True)
    assert subject.in_sync


def test_a_manifest_tells_drift_from_what_is_outdated() -> None:
    subject = engine.Engine([engine.Source()], lambda changes: ())
    subject.scanned(0, tree.TreeDelta({"drifted": SHIPPED, "outdated": MINE}), 0.0)
    subject.opened("pod", [messages.RootState("/app", "t", b"?" * 32, 2, fresh=False)], {}, 0.0)
    rows = [("drifted", FOREIGN, True), ("outdated", SHIPPED, True)]
    found = subject.manifest("pod", 0, rows, frozenset(), 0.0, drifted={"drifted": SHIPPED})
    assert sends(found) == [(ops.Action.PUT, "outdated")]


def test_a_sweep_that_lists_only_some_of_it_asks_for_the_manifest() -> None:
    subject = synced("x", "y")
    found = subject.drifted("pod", 0, [("x", SHIPPED, FOREIGN)], 1.0, whole=False)
    assert found == [commands.AskManifest("pod", 0)]
