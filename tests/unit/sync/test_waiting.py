"""A path that is looked at again before it is sent again blocks what depends on it."""

from devloop.core import entry, ops, problem, tree
from devloop.protocol import messages
from devloop.sync import commands, engine

SOME = entry.file(bytes(32), 1)


def sends(found: list[commands.Command]) -> list[tuple[ops.Action, str]]:
    return [(op.action, op.path) for each in found if isinstance(each, commands.Send) for op in each.batch.ops]


def test_a_file_waits_for_what_must_go_first() -> None:
    subject = engine.Engine([engine.Source()], lambda changes: ())
    before = {"a": entry.folder(), "a/x": SOME, "other": SOME}
    subject.scanned(0, tree.TreeDelta(before), 0.0)
    state = messages.RootState("/app", "t", tree.Tree(before).digest, 3, fresh=False)
    subject.opened("pod", [state], {}, 0.0)

    assert sends(subject.scanned(0, tree.TreeDelta(gone=frozenset({"a/x"})), 1.0)) == [(ops.Action.DELETE, "a/x")]
    trouble = problem.Problem("a/x", problem.Reason.UNSTABLE, "it moved meanwhile", problem.Side.POD)
    ack = messages.Ack(16, 16, (tree.Tree(before).digest,))
    found = subject.acked("pod", ack, {(0, "a/x"): trouble}, 1.0)
    assert found == [commands.Rescan(0, ("a/x",))]

    assert sends(subject.scanned(0, tree.TreeDelta({"a": SOME}), 1.0)) == []
    assert not subject.settled
    found = subject.rescanned(0, ["a/x"], 2.0)
    assert sorted(sends(found)) == [(ops.Action.PUT, "a"), (ops.Action.DELETE, "a/x")]
