"""Files are read whole, or it is said why not."""

import hashlib
import os
import socket
from pathlib import Path

import pytest

from devloop.core import entry
from devloop.fs import hashing, statcache
from tests.unit.fs import scanning

SMALL = memoryview(bytearray(64))


def wanted(path: Path, size: int = 0) -> hashing.Wanted:
    return hashing.Wanted(path.name, str(path), size)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1000])
def test_any_size(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    (tmp_path / "f").chmod(0o700)
    outcome = hashing.digest(wanted(tmp_path / "f"), SMALL)
    assert isinstance(outcome, hashing.Digested)
    assert outcome.entry == entry.file(hashlib.sha256(content).digest(), size, executable=True)
    assert outcome.stamp == statcache.stamp((tmp_path / "f").stat())
    assert outcome.device == tmp_path.stat().st_dev


def test_short_reads_and_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel returns at most 2 GiB - 4 KiB from one read; here it returns 7 bytes.
    with (tmp_path / "f").open("wb") as file:
        file.truncate(300)
        file.seek(200)
        file.write(b"end")
    real = os.readv
    monkeypatch.setattr(hashing, "read_into", lambda fd, buffer: real(fd, [buffer[:7]]))
    outcome = hashing.digest(wanted(tmp_path / "f"), SMALL)
    assert isinstance(outcome, hashing.Digested)
    assert outcome.entry.digest == hashlib.sha256((tmp_path / "f").read_bytes()).digest()


def test_a_size_beyond_two_gib_is_counted_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reads are counted, not done: 3 GiB of holes, in steps of the largest read there is."""
    with (tmp_path / "f").open("wb") as file:
        file.truncate(3 * 2**30)
    left = [2**31 - 4096, 2**30 + 4096]

    class Bulk:
        def __getitem__(self, _: slice) -> bytes:
            return b""

    monkeypatch.setattr(hashing, "read_into", lambda _fd, _buffer: left.pop(0) if left else 0)
    outcome = hashing.digest(wanted(tmp_path / "f"), Bulk())  # type: ignore[arg-type]
    assert isinstance(outcome, hashing.Digested)
    assert outcome.entry.size == 3 * 2**30


def test_a_file_that_grows_once_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    scanning.meddle(monkeypatch, lambda: path.write_bytes(b"y" * 150), times=1)
    outcome = hashing.digest(wanted(path), SMALL)
    assert isinstance(outcome, hashing.Digested)
    assert outcome.entry.digest == hashlib.sha256(b"y" * 150).digest()


@pytest.mark.parametrize("grow", [True, False])
def test_a_file_that_always_changes_is_unstable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grow: bool) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 1000)

    def change() -> None:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size + (10 if grow else -10))

    scanning.meddle(monkeypatch, change, times=10**6)
    outcome = hashing.digest(wanted(path), SMALL)
    assert outcome == hashing.Failed("f", hashing.Failure.UNSTABLE)


def test_a_file_replaced_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)

    def replace() -> None:
        (tmp_path / "new").write_bytes(b"y" * 100)
        (tmp_path / "new").rename(path)

    scanning.meddle(monkeypatch, replace, times=1)
    outcome = hashing.digest(wanted(path), SMALL)
    assert isinstance(outcome, hashing.Digested)
    assert outcome.entry.digest == hashlib.sha256(b"y" * 100).digest()


def test_what_is_no_file_fails_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    expected = {
        "pipe": hashing.Failure.NOT_A_FILE,
        "link": hashing.Failure.NOT_A_FILE,
        "folder": hashing.Failure.NOT_A_FILE,
        "sock": hashing.Failure.NOT_A_FILE,
        "none": hashing.Failure.VANISHED,
        "file/below": hashing.Failure.VANISHED,
    }
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "sock"))
        for name, failure in expected.items():
            outcome = hashing.digest(wanted(tmp_path / name), SMALL)
            assert isinstance(outcome, hashing.Failed)
            assert outcome.failure is failure


def test_errors_of_opening_and_reading_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_text("x")

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(hashing, "read_into", broken)
        outcome = hashing.digest(wanted(tmp_path / "f"), SMALL)
    assert isinstance(outcome, hashing.Failed)
    assert outcome.failure is hashing.Failure.UNREADABLE
    assert outcome.error is not None
    assert outcome.error.errno == 5
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", broken)
        outcome = hashing.digest(wanted(tmp_path / "f"), SMALL)
    assert isinstance(outcome, hashing.Failed)
    assert outcome.failure is hashing.Failure.UNREADABLE


def test_descriptors_are_closed(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "d").mkdir()
    before = len(os.listdir("/dev/fd"))
    for name in ("f", "d", "none"):
        hashing.digest(wanted(tmp_path / name), SMALL)
    assert len(os.listdir("/dev/fd")) == before


def test_many_files_large_and_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "THREADED_BYTES", 1000)
    files = {f"f{number}": os.urandom(number * 100) for number in range(30)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    outcomes = hashing.digest_all(wanted(tmp_path / name, len(content)) for name, content in files.items())
    found = {outcome.path: outcome.entry.digest for outcome in outcomes if isinstance(outcome, hashing.Digested)}
    assert found == {name: hashlib.sha256(content).digest() for name, content in files.items()}


@pytest.mark.parametrize("count", [1, 5])
def test_a_stop_ends_reading_in_all_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(hashing, "THREADED_BYTES", 1)
    for number in range(count):
        (tmp_path / f"f{number}").write_text("x")
    with pytest.raises(hashing.Cancelled):
        hashing.digest_all([wanted(tmp_path / f"f{number}", 1) for number in range(count)], lambda: True)


def test_a_stop_in_the_middle_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "BUFFER_BYTES", 64)
    (tmp_path / "f").write_bytes(bytes(1000))
    asked = iter([False, False, True])
    with pytest.raises(hashing.Cancelled):
        hashing.digest(wanted(tmp_path / "f"), SMALL, lambda: next(asked))


def test_parts_are_bounded_and_small_files_come_first() -> None:
    def of(*sizes: int) -> list[hashing.Wanted]:
        return [hashing.Wanted(f"{number}", f"/{number}", size) for number, size in enumerate(sizes)]

    large = hashing.THREADED_BYTES
    found = list(hashing.parts(of(large, 5, 5, 1, large, 0), 2, 7))
    assert [[one.size for one in part] for part in found] == [[5, 5], [1, 0], [large], [large]]
    assert list(hashing.parts([], 2, 7)) == [[]]
    assert list(hashing.parts(of(1, 1), 2, 7)) == [of(1, 1)]
