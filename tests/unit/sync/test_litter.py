"""`extra: delete` deletes what a sweep found to be nobody's, and nothing else, and no app is restarted for it."""

from collections.abc import Iterable, Sequence

import pytest

from devloop.core import entry, ops, tree
from devloop.protocol import messages
from devloop.sync import commands, engine, ledger

FILE = entry.file(bytes(32), 1)
HOOK = messages.HookSpec("all", ("true",), "/app")


def synced(*, delete_extra: bool = True, paths: Iterable[str] = ("a",)) -> engine.Engine:
    """Return the engine of a service with one replica that has everything; `*.lock` is pulled."""

    def hooks(changes: Sequence[ops.Op]) -> tuple[messages.HookSpec, ...]:
        return (HOOK,) if changes else ()

    source = ledger.Source(delete_extra=delete_extra, pulled=lambda path: path.endswith(".lock"))
    subject = engine.Engine([source], hooks)
    wanted = dict.fromkeys(paths, FILE)
    subject.scanned(0, tree.TreeDelta(wanted), 0.0)
    subject.opened("pod", [messages.RootState("/app", "t", tree.Tree(wanted).digest, 1, fresh=False)], {}, 0.0)
    assert subject.in_sync
    return subject


def batches(found: list[commands.Command]) -> list[commands.Batch]:
    return [command.batch for command in found if isinstance(command, commands.Send)]


def ack(subject: engine.Engine, batch: commands.Batch) -> list[commands.Command]:
    after = subject.replicas["pod"].known[0].copy()
    for op in batch.ops:
        after.apply(
            tree.TreeDelta(gone=frozenset({op.path})) if op.entry is None else tree.TreeDelta({op.path: op.entry})
        )
    return subject.acked("pod", messages.Ack(batch.number, batch.number, (after.digest,)), {}, 1.0)


def test_what_is_nobodys_is_deleted_without_a_hook_or_a_reload() -> None:
    subject = synced()
    (batch,) = batches(subject.littered("pod", 0, ["x", "d", "d/y"], 1.0))
    assert set(batch.ops) == {ops.delete(0, path) for path in ("x", "d", "d/y")}
    assert not batch.reload and not batch.hooks
    ack(subject, batch)
    assert subject.in_sync


def test_a_save_that_goes_with_it_has_its_hook_and_its_reload() -> None:
    subject = synced()
    subject.pause()
    subject.littered("pod", 0, ["x"], 1.0)
    subject.scanned(0, tree.TreeDelta({"b": FILE}), 1.0)
    (batch,) = batches(subject.resume(1.0))
    assert {op.path for op in batch.ops} == {"x", "b"}
    assert batch.reload and batch.hooks == (HOOK,)


def test_what_the_user_deletes_later_at_that_path_reloads_again() -> None:
    subject = synced()
    (batch,) = batches(subject.littered("pod", 0, ["x"], 1.0))
    ack(subject, batch)
    for delta in (tree.TreeDelta({"x": FILE}), tree.TreeDelta(gone=frozenset({"x"}))):
        (batch,) = batches(subject.scanned(0, delta, 1.0))
        assert batch.reload
        ack(subject, batch)


@pytest.mark.parametrize("path", ["a", "uv.lock", "hidden"])
def test_what_is_managed_pulled_or_hidden_stays(path: str) -> None:
    subject = synced()
    subject.scanned(0, tree.TreeDelta(), 1.0, hidden=["hidden"])
    assert not batches(subject.littered("pod", 0, [path], 1.0))


def test_extra_paths_are_kept_unless_they_are_given_up() -> None:
    assert not batches(synced(delete_extra=False).littered("pod", 0, ["x"], 1.0))


def test_what_the_laptop_makes_meanwhile_is_put_and_not_deleted() -> None:
    subject = synced()
    subject.pause()
    subject.littered("pod", 0, ["x"], 1.0)
    subject.scanned(0, tree.TreeDelta({"x": FILE}), 1.0)
    (batch,) = batches(subject.resume(1.0))
    assert batch.ops == (ops.put(0, "x", FILE),)


def test_nothing_is_deleted_while_the_link_is_down_or_the_target_unknown() -> None:
    subject = synced()
    subject.closed("pod")
    assert not batches(subject.littered("pod", 0, ["x"], 1.0))
    subject.opened("pod", [messages.RootState("/app", "other", b"?" * 32, 1, fresh=False)], {}, 1.0)
    assert not batches(subject.littered("pod", 0, ["x"], 1.0))


def test_many_at_once_are_held_like_any_deletion() -> None:
    subject = synced(paths=[f"f{number}" for number in range(30)])
    extra = [f"x{number}" for number in range(30)]
    found = subject.littered("pod", 0, extra, 1.0)
    assert not batches(found)
    assert any(isinstance(command, commands.HoldChanged) and command.count == 30 for command in found)
    (batch,) = batches(subject.approve(1.0))
    assert len(batch.ops) == 30 and not batch.reload


def test_a_manifest_does_not_delete_what_is_to_be_pulled() -> None:
    subject = synced()
    subject.closed("pod")
    subject.opened("pod", [messages.RootState("/app", "other", b"?" * 32, 1, fresh=False)], {}, 1.0)
    rows = [("a", FILE, True), ("uv.lock", FILE, False), ("old.lock", FILE, False), ("x", FILE, False)]
    (batch,) = batches(subject.manifest("pod", 0, rows, frozenset({"old.lock"}), 1.0))
    assert {op.path for op in batch.ops} == {"x", "old.lock"}
