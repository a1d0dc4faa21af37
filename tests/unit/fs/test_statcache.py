"""The stat cache vouches for a file only when its stamp does."""

import os
from pathlib import Path

import pytest

from devloop.core import entry
from devloop.fs import statcache

FILE = entry.file(bytes(32), 1)
SECOND_NS = 10**9


def stamp_of(mtime_ns: int, ctime_ns: int = 0) -> bytes:
    return statcache._STAMP.pack(1, mtime_ns, ctime_ns, 2, 0o100644)


def test_a_stamp_tells_size_times_inode_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("1")
    seen = {statcache.stamp(path.stat())}
    path.write_text("12")
    os.utime(path, ns=(1, 1))
    seen.add(statcache.stamp(path.stat()))
    path.chmod(0o755)
    seen.add(statcache.stamp(path.stat()))
    (tmp_path / "g").write_text("12")
    (tmp_path / "g").chmod(0o755)
    os.utime(tmp_path / "g", ns=(1, 1))
    seen.add(statcache.stamp((tmp_path / "g").stat()))
    assert len(seen) == 4


@pytest.mark.parametrize("time_ns", [-5 * SECOND_NS, 2**33 * SECOND_NS, 0])
def test_any_time_that_a_file_can_have_makes_a_stamp(tmp_path: Path, time_ns: int) -> None:
    path = tmp_path / "f"
    path.write_text("1")
    os.utime(path, ns=(time_ns, time_ns))
    first = statcache.stamp(path.stat())
    assert statcache.settles_at_ns(first) > 0
    os.utime(path, ns=(time_ns + SECOND_NS, time_ns + SECOND_NS))
    assert statcache.stamp(path.stat()) != first


def test_a_proven_row_is_a_hit_for_its_stamp_only() -> None:
    subject = statcache.StatCache()
    subject.open()
    subject.prove("a", b"one", FILE)
    assert subject.hit("a", b"one") is FILE
    assert subject.hit("a", b"two") is None
    assert subject.hit("b", b"one") is None
    subject.flush()
    assert subject.hit("a", b"one") is FILE
    subject.drop("a")
    assert subject.hit("a", b"one") is None
    subject.flush()
    assert subject.hit("a", b"one") is None
    assert len(subject) == 0


def test_proven_rows_survive_and_an_edit_writes_one(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    subject = statcache.StatCache(str(path))
    subject.open()
    for number in range(500):
        subject.prove(f"file{number}", stamp_of(number), FILE)
    subject.doubt("unproven", stamp_of(1), 5)
    subject.flush()
    before = path.stat().st_size
    subject.prove("file7", stamp_of(0), FILE)
    subject.drop("file8")
    subject.flush()
    assert path.stat().st_size - before < 300
    subject.close()
    again = statcache.StatCache(str(path))
    again.open()
    assert len(again) == 499
    assert again.hit("file7", stamp_of(0)) == FILE
    assert again.hit("file8", stamp_of(8)) is None
    assert again.hit("unproven", stamp_of(1)) is None
    again.close()


def test_a_damaged_file_is_an_empty_cache(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(os.urandom(500))
    subject = statcache.StatCache(str(tmp_path / "cache"))
    subject.open()
    assert len(subject) == 0
    subject.close()


def test_an_unproven_stamp_is_known_since_it_was_first_seen() -> None:
    subject = statcache.StatCache()
    assert subject.first_seen_ns("a", b"one", 10) == 10
    subject.doubt("a", b"one", 10)
    assert subject.first_seen_ns("a", b"one", 20) == 10
    assert subject.first_seen_ns("a", b"two", 20) == 20
    assert subject.unproven == {"a"}
    subject.prove("a", b"one", FILE)
    assert not subject.unproven


def test_a_stamp_settles_one_tick_after_its_newest_time() -> None:
    assert statcache.settles_at_ns(stamp_of(5, 7)) == 7 + statcache.FINE_TICK_NS
    assert statcache.settles_at_ns(stamp_of(9, 7)) == 9 + statcache.FINE_TICK_NS
    whole = 3 * SECOND_NS
    assert statcache.settles_at_ns(stamp_of(whole, whole)) == whole + statcache.COARSE_TICK_NS


def test_a_clock_has_reached_every_ctime_that_is_not_in_the_future() -> None:
    subject = statcache.Ticks()
    assert subject.reached_ns(1) == 0
    subject.see(1, 50, now_ns=100)
    subject.see(1, 40, now_ns=100)
    subject.see(1, 101, now_ns=100)
    subject.see(2, 70, now_ns=100)
    assert (subject.reached_ns(1), subject.reached_ns(2)) == (50, 70)
