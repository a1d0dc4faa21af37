"""`devloop demo`: its options, and the folder that it cleans up."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from devloop import errors
from devloop.cli import demonstration
from tests.unit.cli.run import devloop


def test_the_folder_is_removed_afterwards(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Path, int, bool]] = []

    async def run(folder: Path, *, files: int, keep: bool) -> errors.Exit:
        assert folder.is_dir()
        seen.append((folder, files, keep))
        return errors.Exit.OK

    monkeypatch.setattr(demonstration, "run", run)
    assert devloop(capsys, "demo", "--files", "7").status == 0
    ((folder, files, keep),) = seen
    assert (files, keep, folder.exists()) == (7, False, False)


def test_it_stays_where_that_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[Path] = []

    async def run(folder: Path, *, files: int, keep: bool) -> errors.Exit:
        assert keep
        seen.append(folder)
        raise errors.LocalError("it failed")

    monkeypatch.setattr(demonstration, "run", run)
    assert devloop(capsys, "demo", "--keep").status == 1
    assert seen[0].is_dir()
