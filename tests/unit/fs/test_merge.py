"""Stamps are believed only when they prove a content."""

import os
import time
from pathlib import Path

import pytest

from devloop.fs import statcache
from tests.unit.fs.scanning import file_of, make, prove_all, scanner


class TestRacilyClean:
    """A second write of the same size within one tick of the clock leaves the same stamp, and is found."""

    @pytest.fixture
    def frozen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file system whose clock stands still: every stamp has the same times."""
        real = statcache.stamp
        standing_ns = time.time_ns() + 3600 * 10**9 + 1

        def still(status: os.stat_result) -> bytes:
            size, _, _, inode, mode = statcache._STAMP.unpack(real(status))
            return statcache._STAMP.pack(size, standing_ns, standing_ns, inode, mode)

        monkeypatch.setattr(statcache, "stamp", still)

    @pytest.mark.usefixtures("frozen")
    @pytest.mark.parametrize("whole", [False, True])
    def test_it_is_found(self, tmp_path: Path, whole: bool) -> None:
        make(tmp_path, "f", "g")
        subject = scanner(tmp_path)
        subject.scan_all()
        for content in ("1", "2", "3"):
            with (tmp_path / "f").open("r+") as file:
                file.write(content)
            result = subject.scan_all() if whole else subject.scan(["f"])
            assert result.delta.put == {"f": file_of(content)}

    def test_a_forced_mtime_does_not_hide_an_edit(self, tmp_path: Path) -> None:
        make(tmp_path, "f")
        os.utime(tmp_path / "f", ns=(10**18, 10**18))
        subject = scanner(tmp_path)
        subject.scan_all()
        for content in ("1", "2", "3"):
            (tmp_path / "f").write_text(content)
            os.utime(tmp_path / "f", ns=(10**18, 10**18))
            assert subject.scan_all().delta.put == {"f": file_of(content)}

    @pytest.mark.usefixtures("frozen")
    def test_a_stamp_is_proven_by_a_read_after_its_tick(self, tmp_path: Path) -> None:
        make(tmp_path, "f")
        subject = scanner(tmp_path)
        subject.scan_all()
        assert subject.unproven == {"f"}
        prove_all(subject)
        assert subject.scan_all().hashed_files == 0

    def test_a_stamp_is_proven_at_once_by_a_later_change_elsewhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "f", "g")
        monkeypatch.setattr(statcache, "FINE_TICK_NS", -(10**9))
        subject = scanner(tmp_path)
        subject.scan_all()
        assert not subject.unproven
        assert subject.scan_all().hashed_files == 0

    def test_an_mtime_that_goes_backwards_is_a_change(self, tmp_path: Path) -> None:
        make(tmp_path, "f")
        subject = scanner(tmp_path)
        subject.scan_all()
        prove_all(subject)
        (tmp_path / "f").write_text("F")
        os.utime(tmp_path / "f", ns=(1, 1))
        assert subject.scan(["f"]).delta.put == {"f": file_of("F")}
