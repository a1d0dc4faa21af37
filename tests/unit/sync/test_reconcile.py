"""What is really in a target: who tells it, and what somebody else changed there."""

from devloop.core import entry, ops, tree
from devloop.protocol import messages
from devloop.sync import commands, engine, ledger, reconcile


def file(text: str) -> entry.Entry:
    return entry.file(bytes([len(text)]) * 32, len(text))


SHIPPED, FOREIGN, MINE = file("a"), file("bb"), file("ccc")


def synced(*paths: str) -> engine.Engine:
    """Return the engine of a service with one replica that has everything."""
    subject = engine.Engine([ledger.Source()], lambda changes: ())
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
    subject = engine.Engine([ledger.Source()], lambda changes: ())
    subject.scanned(0, tree.TreeDelta({"drifted": SHIPPED, "outdated": MINE}), 0.0)
    subject.opened("pod", [messages.RootState("/app", "t", b"?" * 32, 2, fresh=False)], {}, 0.0)
    rows = [("drifted", FOREIGN, True), ("outdated", SHIPPED, True)]
    found = subject.manifest("pod", 0, rows, frozenset(), 0.0, drifted={"drifted": SHIPPED})
    assert sends(found) == [(ops.Action.PUT, "outdated")]


def test_a_sweep_that_lists_only_some_of_it_asks_for_the_manifest() -> None:
    subject = synced("x", "y")
    found = subject.drifted("pod", 0, [("x", SHIPPED, FOREIGN)], 1.0, whole=False)
    assert found == [commands.AskManifest("pod", 0)]


def state(digest: bytes, *, tree_id: str = "t", fresh: bool = False, empty: bool = False) -> messages.RootState:
    return messages.RootState("/app", tree_id, digest, 1, fresh=fresh, empty=empty)


def opened(now: tree.Tree | None, stored: tree.Tree | None = None, *, empty: bool = False) -> ledger.Replica:
    """Return what is known of an agent that says this digest; of a fresh one where there is none."""
    book = ledger.Ledger([ledger.Source()])
    book.sources[0].wanted.put("a", MINE)
    replica = book.replicas["pod"] = ledger.Replica("pod", 1)
    digest = b"" if now is None else now.digest
    baselines = {} if stored is None else {0: stored}
    reconcile.opened(book, replica, [state(digest, fresh=now is None, empty=empty)], baselines, 0.0)
    return replica


def test_a_digest_is_known_from_the_laptop_or_from_what_was_stored() -> None:
    assert opened(tree.Tree({"a": MINE})).pending == {}
    replica = opened(tree.Tree({"a": SHIPPED}), tree.Tree({"a": SHIPPED}))
    assert (dict(replica.known[0]), set(replica.pending)) == ({"a": SHIPPED}, {(0, "a")})
    assert opened(tree.Tree({"a": SHIPPED}), tree.Tree({"a": FOREIGN})).ready == [False]


def test_a_fresh_agent_holds_nothing_only_where_its_folder_is_empty() -> None:
    replica = opened(None, empty=True)
    assert (replica.ready, replica.in_parts, set(replica.pending)) == ([True], True, {(0, "a")})
    replica = opened(None)
    assert (replica.ready, replica.in_parts) == ([False], False)


def test_batches_whose_acks_were_lost_with_the_link_are_recognised() -> None:
    book = ledger.Ledger([ledger.Source()])
    replica = book.replicas["pod"] = ledger.Replica("pod", 1)
    replica.tree_ids = ["t"]
    replica.flights = {
        16: commands.Batch(16, (ops.put(0, "a", MINE), ops.put(0, "b", MINE)), cancelled={1}),
        17: commands.Batch(17, (ops.put(0, "c", MINE),)),
    }
    now = tree.Tree({"a": MINE})
    reconcile.opened(book, replica, [state(now.digest)], {}, 0.0)
    assert (replica.ready, dict(replica.known[0])) == ([True], {"a": MINE})
    # Another tree's digest is not looked for among our batches.
    replica.flights = {18: commands.Batch(18, (ops.delete(0, "a"),))}
    book.sources[0].wanted.put("x", MINE)
    reconcile.opened(book, replica, [state(tree.Tree().digest, tree_id="other")], {}, 0.0)
    assert replica.ready == [False]


def test_extra_paths_wait_for_the_first_scan() -> None:
    book = ledger.Ledger([ledger.Source()])
    replica = book.replicas["pod"] = ledger.Replica("pod", 1)
    rows = [("a", SHIPPED, False), ("b", SHIPPED, False)]
    reconcile.take_manifest(book, replica, 0, rows, frozenset({"a"}), {}, 0.0)
    assert not replica.pending
    book.sources[0].hidden.add("b")
    book.sources[0].wanted.put("c", MINE)
    reconcile.judge_extras(book.sources[0], replica, 0, *replica.extras.pop(0))
    assert list(replica.forced.values()) == [ops.delete(0, "a")]


def test_before_the_first_link_nothing_is_noted_of_an_agent_and_all_of_it_is_sent_then() -> None:
    subject = engine.Engine([ledger.Source()], lambda changes: ())
    subject.expected("pod")
    subject.scanned(0, tree.TreeDelta({"a": MINE}), 0.0)
    assert not subject.replicas["pod"].pending
    found = subject.opened("pod", [state(b"", fresh=True, empty=True)], {}, 0.0)
    assert sends(found) == [(ops.Action.PUT, "a")]
