"""The primitives: a new file is there whole or not at all, and two versions never share a second."""

import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import entry
from devloop.fs import atomic


@pytest.fixture
def folder_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_a_new_file_has_its_content_and_mode(folder_fd: int, tmp_path: Path) -> None:
    inode = atomic.write_new(folder_fd, "f", b"hello", atomic.file_mode(executable=True))
    info = (tmp_path / "f").stat()
    assert (info.st_ino, (tmp_path / "f").read_bytes()) == (inode, b"hello")
    assert atomic.is_executable(info)
    atomic.write_more(folder_fd, "f", b"lo world", 3)
    assert (tmp_path / "f").read_bytes() == b"hello world"


@pytest.mark.skipif(sys.platform != "linux", reason="blocks are reserved on Linux only")
@pytest.mark.parametrize("refused", [None, errno.EOPNOTSUPP, errno.ENOSPC])
def test_a_file_whose_blocks_are_reserved_has_its_content_all_the_same(
    folder_fd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: int | None
) -> None:
    real, asked = os.posix_fallocate, []

    def reserve(fd: int, offset: int, size: int) -> None:
        asked.append((offset, size))
        if refused is not None:
            raise OSError(refused, "not here")
        real(fd, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", reserve)
    for name, data in (("f", b"hello"), ("empty", b"")):
        atomic.write_new(folder_fd, name, data, 0o666, reserve=True)
        assert (tmp_path / name).read_bytes() == data
    assert asked == [(0, 5)]


def test_a_name_that_is_taken_is_left_alone(folder_fd: int, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    (tmp_path / "l").symlink_to("nowhere")
    for name in ("f", "l"):
        with pytest.raises(FileExistsError):
            atomic.write_new(folder_fd, name, b"theirs", 0o666)
    assert (tmp_path / "f").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_short_writes_are_continued_and_a_failed_one_leaves_nothing(
    folder_fd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:2]))
    atomic.write_new(folder_fd, "short", b"hello", 0o666)
    assert (tmp_path / "short").read_bytes() == b"hello"

    def full(fd: int, data: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="full"):
        atomic.write_new(folder_fd, "f", b"hello", 0o666)
    assert os.listdir(folder_fd) == ["short"]


def test_what_is_not_a_file_is_not_read_and_does_not_block(folder_fd: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    for name in ("fifo", "folder", "link"):
        with pytest.raises(OSError):
            os.close(atomic.open_regular(folder_fd, name))
    assert atomic.digest_of(folder_fd, "file") == (hashlib.sha256(b"x" * 3_000_000).digest(), 3_000_000)


def test_entries(folder_fd: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("caf\udce9")
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "file").chmod(0o700)

    def at(name: str) -> entry.Entry | None:
        info = atomic.look(folder_fd, name)
        assert info is not None
        return atomic.entry_at(folder_fd, name, info)

    assert at("fifo") is None
    assert at("folder") == entry.folder()
    assert at("link") == entry.link(b"caf\xe9")
    assert at("file") == entry.file(hashlib.sha256(b"x").digest(), 1, executable=True)
    assert atomic.look(folder_fd, "nothing") is None


def test_reading_is_bounded(folder_fd: int, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    for size, expected in ((2, b"123"), (5, b"12345"), (9, b"12345")):
        fd = atomic.open_regular(folder_fd, "f")
        assert atomic.read_upto(fd, size) == expected
        os.close(fd)


def test_the_executable_bit_goes_where_reading_is_allowed(folder_fd: int, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "f").chmod(0o640)
    atomic.set_executable(folder_fd, "f", executable=True)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o750
    atomic.set_executable(folder_fd, "f", executable=False)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o640


NOW_S = 1_700_000_000
CLOCKS = st.lists(
    st.integers(NOW_S * atomic.SECOND_NS - 5 * atomic.SECOND_NS, NOW_S * atomic.SECOND_NS + 5 * atomic.SECOND_NS),
    min_size=2,
    max_size=20,
)


@given(CLOCKS)
def test_no_second_is_used_twice_however_the_clock_jumps(clocks: list[int]) -> None:
    seconds: list[int] = []
    for now_ns in clocks:
        chosen = atomic.mtime_after(now_ns, seconds[-1] if seconds else None)
        seconds.append((chosen if chosen is not None else now_ns) // atomic.SECOND_NS)
    assert sorted(set(seconds)) == seconds


def test_a_time_from_a_wrong_clock_is_not_followed_into_the_future() -> None:
    assert atomic.mtime_after(NOW_S * atomic.SECOND_NS, NOW_S + 1_000_000) is None


def test_the_systems_own_time_is_not_trusted_within_a_second(folder_fd: int, tmp_path: Path) -> None:
    assert atomic.mtime_after(NOW_S * atomic.SECOND_NS, NOW_S - 1) == NOW_S * atomic.SECOND_NS
    assert atomic.mtime_after(NOW_S * atomic.SECOND_NS, NOW_S - 2) is None
    (tmp_path / "f").touch()
    atomic.stamp(folder_fd, "f", NOW_S * atomic.SECOND_NS)
    assert (tmp_path / "f").stat().st_mtime_ns == NOW_S * atomic.SECOND_NS
    atomic.stamp(folder_fd, "f", None)
    assert (tmp_path / "f").stat().st_mtime > NOW_S
