"""What all backends share: which folders of a folder are watched, and where they are."""

import os
from pathlib import Path

from devloop.watch import backend


def test_folders_are_listed_without_the_pruned_the_reserved_and_links(tmp_path: Path) -> None:
    for name in ("src", "node_modules", ".git", ".devloop", "caf\udce9"):
        os.mkdir(os.fsencode(str(tmp_path / name)))
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "src")
    asked: list[str] = []

    def prune(path: str) -> bool:
        asked.append(path)
        return path.endswith("node_modules")

    assert set(backend.subfolders(str(tmp_path), "above", prune)) == {"src", "caf\udce9"}
    assert sorted(asked) == ["above/caf\udce9", "above/node_modules", "above/src"]


def test_a_folder_that_is_gone_has_none(tmp_path: Path) -> None:
    assert list(backend.subfolders(str(tmp_path / "gone"), "", lambda path: False)) == []


def test_absolute_paths_are_the_file_systems_bytes() -> None:
    assert backend.absolute("/r", "") == b"/r"
    assert backend.absolute("/r", "a/caf\udce9") == b"/r/a/caf\xe9"
