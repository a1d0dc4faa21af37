"""The laptop's own name among devloops: made once, kept, agreed upon."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devloop import errors
from devloop.state import install


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVLOOP_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_it_stays_the_same() -> None:
    assert len(install.identity()) == 16
    assert install.identity() == install.identity()


def test_many_that_begin_at_once_agree(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: install.identity(), range(64)))
    assert len(found) == 1
    assert [each.name for each in home.iterdir()] == ["install"]


@pytest.mark.parametrize("text", ["", "nonsense\n", "\xff", "A" * 16])
def test_a_damaged_file_is_made_anew(text: str, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "install").write_bytes(text.encode("latin-1"))
    made = install.identity()
    assert len(made) == 16 and install.identity() == made


def test_a_folder_that_cannot_be_written_is_said(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "install").mkdir()
    with pytest.raises(errors.LocalError):
        install.identity()
