"""The order in which things leave."""

from devloop.protocol import outbox


def put(box: outbox.Outbox, name: str, stream: int | None = None, cost: int = 0, urgent: bool = True) -> None:
    box.put(outbox.Item(name.encode(), cost, urgent), stream)


def drain(box: outbox.Outbox) -> list[str]:
    taken = []
    while (item := box.take()) is not None:
        taken.append(item.body.decode())
    return taken


def test_control_then_urgent_then_bulk() -> None:
    box = outbox.Outbox()
    put(box, "bulk", 16, 9, urgent=False)
    put(box, "urgent", 17, 9)
    put(box, "control")
    assert len(box) == 3
    assert drain(box) == ["control", "urgent", "bulk"]
    assert len(box) == 0


def test_streams_take_turns() -> None:
    box = outbox.Outbox()
    for name in ("a1", "a2", "a3"):
        put(box, name, 16, 1, urgent=False)
    for name in ("b1", "b2"):
        put(box, name, 17, 1, urgent=False)
    assert drain(box) == ["a1", "b1", "a2", "b2", "a3"]


def test_control_of_a_stream_stays_behind_its_bulk_and_passes_that_of_others() -> None:
    box = outbox.Outbox()
    put(box, "bulk", 16, 1, urgent=False)
    put(box, "edit", 17, 1)
    put(box, "commit", 17)
    put(box, "cancel", 18)
    assert drain(box) == ["cancel", "edit", "commit", "bulk"]


def test_control_behind_bulk_waits_for_it_and_not_for_other_bulk() -> None:
    box = outbox.Outbox()
    put(box, "a", 16, 1, urgent=False)
    put(box, "end of a", 16)
    put(box, "b1", 17, 1, urgent=False)
    put(box, "b2", 17, 1, urgent=False)
    assert drain(box) == ["a", "end of a", "b1", "b2"]


def test_a_stream_keeps_its_order_when_it_becomes_bulk() -> None:
    box = outbox.Outbox()
    put(box, "first", 16, 1)
    put(box, "second", 16, 1, urgent=False)
    put(box, "other", 17, 1, urgent=False)
    assert drain(box) == ["first", "other", "second"]


def test_what_waits_is_counted() -> None:
    box = outbox.Outbox()
    put(box, "a", 16, 10)
    put(box, "b", 16, 20)
    put(box, "c")
    assert box.queued_bytes == 30
    box.take()
    box.take()
    assert box.queued_bytes == 20


def test_streams_can_be_dropped_and_control_kept() -> None:
    box = outbox.Outbox()
    put(box, "a", 16, 10)
    put(box, "b", 17, 10, urgent=False)
    put(box, "bye")
    box.drop_streams()
    assert box.queued_bytes == 0
    assert drain(box) == ["bye"]
    put(box, "again")
    box.drop_all()
    assert drain(box) == []
