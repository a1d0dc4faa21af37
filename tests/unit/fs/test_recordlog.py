"""Records survive a torn tail, and a failed write leaves the log as it was."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.fs import recordlog

RECORDS = st.lists(st.binary(max_size=40), max_size=5)


@given(RECORDS, st.integers(0, 300))
def test_a_cut_anywhere_leaves_a_prefix_of_whole_records(records: list[bytes], cut: int) -> None:
    data = recordlog.MAGIC + b"".join(map(recordlog.frame, records))
    found, end = recordlog.parse(data[:cut])
    assert found == records[: len(found)]
    assert end <= min(cut, len(data))
    if cut >= len(data):
        assert found == records


@given(RECORDS, st.integers(0, 300), st.integers(1, 255))
def test_a_flipped_byte_never_gives_a_record_that_was_not_written(records: list[bytes], at: int, flip: int) -> None:
    data = bytearray(recordlog.MAGIC + b"".join(map(recordlog.frame, records)))
    data[at % len(data)] ^= flip
    found, _ = recordlog.parse(bytes(data))
    assert found == records[: len(found)]


def test_appending_after_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with recordlog.RecordLog(str(path)) as log:
        assert log.open() == []
        log.append(b"one")
        log.append(b"two")
    os.truncate(path, path.stat().st_size - 1)
    with recordlog.RecordLog(str(path)) as log:
        assert log.open() == [b"one"]
        log.append(b"three")
    with recordlog.RecordLog(str(path)) as log:
        assert log.open() == [b"one", b"three"]


def test_rewriting_replaces_everything(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with recordlog.RecordLog(str(path)) as log:
        log.open()
        log.append(b"x" * 1000)
        log.rewrite([b"a", b"b"])
        log.append(b"c")
        assert log.size_bytes == path.stat().st_size
    with recordlog.RecordLog(str(path)) as log:
        assert log.open() == [b"a", b"b", b"c"]
    assert [p.name for p in tmp_path.iterdir()] == ["log"]


def test_a_failed_append_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite

    def full(fd: int, data: bytes, at: int) -> int:
        if len(data) > 100:
            return real(fd, data[:50], at)
        raise OSError(28, "No space left on device")

    with recordlog.RecordLog(str(tmp_path / "log")) as log:
        log.open()
        log.append(b"kept")
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            log.append(b"y" * 120)
        monkeypatch.undo()
        log.append(b"next")
    with recordlog.RecordLog(str(tmp_path / "log")) as log:
        assert log.open() == [b"kept", b"next"]


def test_a_foreign_file_is_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"something else entirely, and longer than the magic")
    with recordlog.RecordLog(str(tmp_path / "log")) as log:
        assert log.open() == []
        log.append(b"fresh")
    with recordlog.RecordLog(str(tmp_path / "log")) as log:
        assert log.open() == [b"fresh"]
