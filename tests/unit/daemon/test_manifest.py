"""A manifest is read whole, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest

from devloop import errors
from devloop.core import entry
from devloop.daemon import manifest
from devloop.protocol import answers, messages

ONE, TWO = entry.file(bytes(32), 1), entry.file(b"2" * 32, 2)


async def coming(parts: Iterable[messages.Part]) -> AsyncIterator[messages.Part]:
    for part in parts:
        yield part


async def test_every_part_counts() -> None:
    rows = [answers.row(f"f{index}", ONE, index % 2 == 0) for index in range(5000)]
    parts = list(answers.rows_to_parts(1, rows))
    found = await manifest.read(coming(parts))
    assert len(found.rows) == 5000
    assert found.rows[:2] == [("f0", ONE, True), ("f1", ONE, False)]
    assert found.drifted == {}


async def test_what_drifted_is_told_with_what_was_shipped() -> None:
    rows = [answers.row("changed", TWO, True, ONE), answers.row("removed", None, True, ONE)]
    found = await manifest.read(coming(answers.rows_to_parts(1, rows)))
    assert found.rows == [("changed", TWO, True)]
    assert found.drifted == {"changed": ONE, "removed": ONE}


async def test_one_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MAX_ROWS", 10)
    rows = [answers.row(f"f{index}", ONE, True) for index in range(11)]
    with pytest.raises(errors.RemoteProtocolError, match="more than 10 paths"):
        await manifest.read(coming(answers.rows_to_parts(1, rows)))
