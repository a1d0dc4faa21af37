"""Ops, and how much content they need."""

import pytest

from devloop.core import entry, ops

FILE = entry.file(bytes(32), 7)


@pytest.mark.parametrize(
    ("op", "size"),
    [
        (ops.put(0, "a", FILE), 7),
        (ops.put(0, "a", entry.file(entry.EMPTY_DIGEST, 0)), 0),
        (ops.put(0, "a", entry.folder()), 0),
        (ops.put(0, "a", entry.link(b"x" * 9)), 0),
        (ops.adopt(0, "a", FILE), 0),
        (ops.delete(0, "a"), 0),
        (ops.forget(0, "a"), 0),
    ],
)
def test_only_files_that_are_put_need_content(op: ops.Op, size: int) -> None:
    assert op.body_bytes == size


def test_each_says_what_it_does() -> None:
    made = [ops.put(1, "a", FILE), ops.delete(1, "a"), ops.adopt(1, "a", FILE), ops.forget(1, "a")]
    assert [op.action for op in made] == [ops.Action.PUT, ops.Action.DELETE, ops.Action.ADOPT, ops.Action.FORGET]
    assert {(op.root, op.path) for op in made} == {(1, "a")}
    assert [op.entry for op in made] == [FILE, None, FILE, None]
