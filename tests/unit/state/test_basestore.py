"""Acked bodies are at hand for the next difference; whatever is wrong with the store is a miss."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from devloop.state import basestore

KIB = 1024
BODY = b"b" * (64 * KIB)


def body(number: int, size: int = 100 * KIB) -> tuple[bytes, bytes]:
    content = number.to_bytes(4, "big") + bytes(size - 4)
    return hashlib.sha256(content).digest(), content


DIGEST = hashlib.sha256(BODY).digest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bases"


@pytest.fixture
def subject(folder: Path) -> basestore.BaseStore:
    return basestore.BaseStore(str(folder), limit_bytes=1000 * KIB)


def set_used(folder: Path, digest: bytes, at_s: int) -> None:
    os.utime(folder / digest.hex(), (at_s, at_s))


def held_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_nothing_is_made_before_it_is_needed(subject: basestore.BaseStore, folder: Path) -> None:
    assert subject.get(DIGEST) is None
    assert not subject.has(DIGEST)
    assert not folder.exists()


def test_a_body_is_kept(subject: basestore.BaseStore, folder: Path) -> None:
    subject.put(DIGEST, BODY)
    assert subject.has(DIGEST)
    assert subject.get(DIGEST) == BODY
    assert basestore.BaseStore(str(folder)).get(DIGEST) == BODY


def test_it_is_private(subject: basestore.BaseStore, folder: Path) -> None:
    subject.put(DIGEST, BODY)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]


@pytest.mark.parametrize(
    ("size", "kept"),
    [(0, False), (64 * KIB - 1, False), (64 * KIB, True), (8 * KIB * KIB, True), (8 * KIB * KIB + 1, False)],
)
def test_only_sizes_that_differences_are_made_for_are_kept(folder: Path, size: int, kept: bool) -> None:
    content = bytes(size)
    digest = hashlib.sha256(content).digest()
    subject = basestore.BaseStore(str(folder))
    subject.put(digest, content)
    assert subject.has(digest) is kept


def truncate(file: Path) -> None:
    os.truncate(file, 1000)


def change(file: Path) -> None:
    file.write_bytes(b"c" + BODY[1:])


def empty(file: Path) -> None:
    os.truncate(file, 0)


def link(file: Path) -> None:
    file.rename(file.with_name("real"))
    file.symlink_to("real")


def blow_up(file: Path) -> None:
    os.truncate(file, 9 * KIB * KIB)


@pytest.mark.parametrize("damage", [truncate, change, empty, blow_up])
def test_a_damaged_body_is_a_miss_and_goes(
    subject: basestore.BaseStore, folder: Path, damage: Callable[[Path], None]
) -> None:
    subject.put(DIGEST, BODY)
    damage(folder / DIGEST.hex())
    assert subject.get(DIGEST) is None
    assert not subject.has(DIGEST)
    subject.put(DIGEST, BODY)
    assert subject.get(DIGEST) == BODY


def test_a_link_or_folder_in_its_place_is_a_miss(subject: basestore.BaseStore, folder: Path) -> None:
    subject.put(DIGEST, BODY)
    link(folder / DIGEST.hex())
    assert subject.get(DIGEST) is None
    assert not subject.has(DIGEST)
    (folder / DIGEST.hex()).unlink()
    (folder / DIGEST.hex()).mkdir()
    assert subject.get(DIGEST) is None
    subject.put(DIGEST, BODY)
    assert not subject.has(DIGEST)


def test_the_oldest_go_first(subject: basestore.BaseStore, folder: Path) -> None:
    entries = [body(number) for number in range(10)]
    for at_s, (digest, content) in enumerate(entries):
        subject.put(digest, content)
        set_used(folder, digest, at_s + 1)
    assert held_bytes(folder) == 1000 * KIB
    assert subject.get(entries[0][0]) == entries[0][1]
    subject.put(*body(10))
    left = [number for number in range(11) if subject.has(body(number)[0])]
    assert left == [0, 3, 4, 5, 6, 7, 8, 9, 10]


def test_putting_again_is_a_use(subject: basestore.BaseStore, folder: Path) -> None:
    subject.put(DIGEST, BODY)
    set_used(folder, DIGEST, 1)
    subject.put(DIGEST, BODY)
    assert (folder / DIGEST.hex()).stat().st_mtime > 1


def test_it_never_holds_much_more_than_its_limit(folder: Path) -> None:
    stores = [basestore.BaseStore(str(folder), limit_bytes=1000 * KIB) for _ in range(2)]
    for number in range(60):
        stores[number % 2].put(*body(number))
        assert held_bytes(folder) <= 1500 * KIB


def test_what_is_there_from_before_counts(folder: Path) -> None:
    for number in range(10):
        basestore.BaseStore(str(folder)).put(*body(number))
    basestore.BaseStore(str(folder), limit_bytes=500 * KIB).put(*body(10))
    assert held_bytes(folder) <= 500 * KIB


def test_the_folder_is_not_walked_at_every_put(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walks = []
    real = os.scandir

    def counted(path: str) -> object:
        walks.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", counted)
    subject = basestore.BaseStore(str(folder))
    for number in range(50):
        subject.put(*body(number))
    assert len(walks) == 1


def test_leftovers_of_killed_processes_go(subject: basestore.BaseStore, folder: Path) -> None:
    folder.mkdir()
    for name in (".new-old", ".new-fresh", "notes"):
        (folder / name).touch()
    os.utime(folder / ".new-old", (1, 1))
    subject.put(DIGEST, BODY)
    assert {file.name for file in folder.iterdir()} == {".new-fresh", "notes", DIGEST.hex()}


def test_a_full_disk_is_no_error(subject: basestore.BaseStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", refuse)
    subject.put(DIGEST, BODY)
    assert not subject.has(DIGEST)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    subject = basestore.BaseStore(str(tmp_path / "file" / "bases"))
    subject.put(DIGEST, BODY)
    assert subject.get(DIGEST) is None
    assert not subject.has(DIGEST)


def test_many_threads_and_stores_may_share_it(folder: Path) -> None:
    stores = [basestore.BaseStore(str(folder), limit_bytes=500 * KIB) for _ in range(2)]

    def work(number: int) -> None:
        digest, content = body(number % 12)
        store = stores[number % 2]
        store.put(digest, content)
        assert store.get(digest) in (None, content)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert held_bytes(folder) <= 750 * KIB
    assert not [file for file in folder.iterdir() if file.name.startswith(".new-")]
