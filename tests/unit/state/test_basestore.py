"""Bodies are kept while there is room, and come back only undamaged."""

import hashlib
import os
import stat
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.state import basestore


def store(folder: Path, total: int = 1000) -> basestore.BaseStore:
    return basestore.BaseStore(str(folder / "bodies"), total_bytes=total, min_bytes=10, max_bytes=200)


def body_of(number: int, size: int = 100) -> bytes:
    return (b"%d-" % number * size)[:size]


def digest_of(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def age(subject: basestore.BaseStore, body: bytes, seconds: float) -> None:
    path = subject._path(digest_of(body))
    at = os.stat(path).st_mtime - seconds
    os.utime(path, (at, at))


def put(subject: basestore.BaseStore, body: bytes) -> bool:
    return subject.put(digest_of(body), body)


def test_a_body_comes_back(tmp_path: Path) -> None:
    subject = store(tmp_path)
    body = body_of(1)
    assert subject.get(digest_of(body)) is None
    assert put(subject, body)
    assert put(subject, body)
    assert digest_of(body) in subject
    assert subject.get(digest_of(body)) == body
    assert store(tmp_path).get(digest_of(body)) == body
    assert subject.used_bytes == 100


def test_it_is_private(tmp_path: Path) -> None:
    subject = store(tmp_path)
    put(subject, body_of(1))
    for above, folders, files in os.walk(tmp_path / "bodies"):
        assert stat.S_IMODE(os.stat(above).st_mode) == 0o700
        assert len(folders) + len(files) == 1
        for file in files:
            assert stat.S_IMODE(os.stat(f"{above}/{file}").st_mode) == 0o600


@pytest.mark.parametrize("size", [0, 9, 201])
def test_bodies_out_of_bounds_are_not_kept(tmp_path: Path, size: int) -> None:
    subject = store(tmp_path)
    assert not put(subject, body_of(1, size))
    assert not (tmp_path / "bodies").exists()


@pytest.mark.parametrize("damage", [b"", b"x" * 100, b"x" * 1000])
def test_a_damaged_body_is_a_miss_and_goes(tmp_path: Path, damage: bytes) -> None:
    subject = store(tmp_path)
    body = body_of(1)
    put(subject, body)
    Path(subject._path(digest_of(body))).write_bytes(damage)
    assert subject.get(digest_of(body)) is None
    assert digest_of(body) not in subject
    assert put(subject, body)
    assert subject.get(digest_of(body)) == body


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    subject = store(tmp_path)
    for number in range(10):
        put(subject, body_of(number))
        age(subject, body_of(number), 100 - number)
    assert subject.get(digest_of(body_of(0))) == body_of(0)
    put(subject, body_of(10))
    left = {number for number in range(11) if digest_of(body_of(number)) in subject}
    assert 10 in left
    assert 0 in left
    assert left == {0, *range(11 - len(left) + 1, 11)}
    assert subject.used_bytes <= 1000


def test_a_put_does_not_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = store(tmp_path, total=10_000)
    walks = 0
    real = subject._walk

    def walk() -> list[basestore._Kept]:
        nonlocal walks
        walks += 1
        return real()

    monkeypatch.setattr(subject, "_walk", walk)
    for number in range(50):
        put(subject, body_of(number))
    assert walks <= 5


def test_several_processes_share_the_limit(tmp_path: Path) -> None:
    one, two = store(tmp_path), store(tmp_path)
    for number in range(40):
        put(one if number % 2 else two, body_of(number))
    used = sum(path.stat().st_size for path in (tmp_path / "bodies").glob("*/*"))
    assert used <= 1000 * (1 + 2 * basestore._RECOUNT)


def test_they_may_write_and_evict_at_once(tmp_path: Path) -> None:
    stores = [store(tmp_path) for _ in range(4)]

    def work(start: int) -> bool:
        good = True
        for number in range(start, start + 200):
            body = body_of(number % 30)
            subject = stores[start * 2 + number % 2]
            put(subject, body)
            good &= subject.get(digest_of(body)) in {body, None}
        return good

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(work, range(2)))


def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    subject = store(tmp_path)
    put(subject, body_of(1))
    folder = os.path.dirname(subject._path(digest_of(body_of(1))))
    for name, age_s in (("old.new", 7200), ("young.new", 0)):
        Path(folder, name).write_bytes(b"half")
        os.utime(Path(folder, name), (time.time() - age_s,) * 2)
    assert store(tmp_path).used_bytes == 104
    assert not Path(folder, "old.new").exists()
    assert Path(folder, "young.new").exists()


def test_a_disk_that_refuses_costs_nothing_but_the_body(tmp_path: Path) -> None:
    (tmp_path / "bodies").write_text("in the way")
    subject = store(tmp_path)
    assert not put(subject, body_of(1))
    assert subject.get(digest_of(body_of(1))) is None
    assert subject.used_bytes == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=40))
def test_what_comes_back_is_what_was_put(steps: list[tuple[bool, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subject = store(Path(folder), total=500)
        known: set[int] = set()
        for is_put, number in steps:
            body = body_of(number)
            if is_put:
                assert put(subject, body)
                known.add(number)
                assert digest_of(body) in subject
            else:
                found = subject.get(digest_of(body))
                assert found is None or (found == body and number in known)
        assert sum(path.stat().st_size for path in Path(folder).glob("bodies/*/*")) <= 500
