"""Acked bodies find their way into the base store, and trouble with one is not the end."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devloop.core import entry, tree
from devloop.core.entry import Entry
from devloop.daemon import basefill
from devloop.fs import body
from devloop.protocol import bodies
from devloop.state import basestore

SIZE = bodies.MIN_DELTA_BYTES


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basefill, "PAUSE_S", 0.0)


def save(folder: Path, name: str, content: bytes) -> Entry:
    (folder / name).write_bytes(content)
    return entry.file(hashlib.sha256(content).digest(), len(content))


def opener(folder: Path) -> Callable[[int, str, Entry], body.Body]:
    return lambda root, path, expected: body.Body(path, str(folder / path), expected)


async def test_acked_bodies_of_the_right_size_are_kept(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    store = basestore.BaseStore(str(tmp_path / "bases"))
    filler = basefill.Filler(store, pool, opener(tmp_path))
    small = save(tmp_path, "small", b"x")
    good = save(tmp_path, "good", b"y" * SIZE)
    changed = save(tmp_path, "changed", b"z" * SIZE)
    (tmp_path / "changed").write_bytes(b"Z" * SIZE)
    missing = entry.file(bytes(32), SIZE)
    last = save(tmp_path, "last", b"l" * SIZE)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(filler.run())
        filler.acked(0, tree.TreeDelta({"last": last}))
        filler.acked(0, tree.TreeDelta({"missing": missing, "changed": changed, "good": good, "small": small}))
        while not store.has(last.digest):  # the newest first, so this is the end
            await asyncio.sleep(0)
        task.cancel()
    assert store.get(good.digest) == b"y" * SIZE
    assert not store.has(small.digest) and not store.has(changed.digest) and not store.has(missing.digest)


async def test_what_waits_is_bounded_and_the_newest_stay(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(basefill, "MAX_WAITING", 3)
    filler = basefill.Filler(basestore.BaseStore(str(tmp_path)), pool, opener(tmp_path))
    for index in range(10):
        filler.acked(0, tree.TreeDelta({f"f{index}": entry.file(bytes(32), SIZE)}))
    filler.acked(0, tree.TreeDelta({"f7": entry.file(bytes(32), SIZE + 1)}))
    assert [path for _, path in filler._waiting] == ["f8", "f9", "f7"]


async def test_a_body_that_is_there_is_not_read_again(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    store = basestore.BaseStore(str(tmp_path / "bases"))
    known = save(tmp_path, "f", b"y" * SIZE)
    store.put(known.digest, b"y" * SIZE)

    def refuse(root: int, path: str, expected: Entry) -> body.Body:
        raise AssertionError("it was read")

    basefill.Filler(store, pool, refuse)._copy(0, "f", known)
