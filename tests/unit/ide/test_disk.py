from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from devloop import errors
from devloop.ide import disk, plan


def new(path: str, text: str = "new\n") -> plan.File:
    return plan.File(path, None, text)


def test_the_workspace_is_the_nearest_one_below_home(tmp_path: Path) -> None:
    deep = tmp_path / "repo/a/b"
    deep.mkdir(parents=True)
    home = str(tmp_path)
    (tmp_path / ".vscode").mkdir()  # extensions
    assert disk.workspace_of(str(deep), "vscode", home) == str(deep)
    (tmp_path / "repo/.git").write_text("gitdir: elsewhere")
    assert disk.workspace_of(str(deep), "vscode", home) == str(tmp_path / "repo")
    (tmp_path / "repo/a/.vscode").mkdir()
    assert disk.workspace_of(str(deep), "vscode", home) == str(tmp_path / "repo/a")
    assert disk.workspace_of(str(deep), "jetbrains", home) == str(tmp_path / "repo")


def test_written_whole_with_the_mode_it_had(workspace: Path) -> None:
    disk.write(str(workspace), new(".vscode/tasks.json"))
    path = workspace / ".vscode/tasks.json"
    path.chmod(0o640)
    disk.write(str(workspace), new(".vscode/tasks.json", "a\r\nb"))
    assert path.read_bytes() == b"a\r\nb" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(workspace / ".vscode") == ["tasks.json"]
    assert disk.read(str(workspace), ".vscode/tasks.json") == "a\r\nb"
    assert disk.read(str(workspace), ".vscode/launch.json") is None


def test_a_link_in_the_workspace_is_followed_and_one_out_of_it_refused(workspace: Path, tmp_path: Path) -> None:
    (workspace / "editor").mkdir()
    (workspace / ".vscode").symlink_to("editor")
    disk.write(str(workspace), new(".vscode/tasks.json"))
    assert (workspace / "editor/tasks.json").read_text() == "new\n" and (workspace / ".vscode").is_symlink()
    outside = tmp_path / "outside.json"
    outside.write_text("theirs")
    (workspace / "editor/launch.json").symlink_to(outside)
    with pytest.raises(errors.LocalError, match="leads out of the workspace"):
        disk.read(str(workspace), ".vscode/launch.json")
    with pytest.raises(errors.LocalError, match="leads out of the workspace"):
        disk.write(str(workspace), new(".vscode/launch.json"))
    assert outside.read_text() == "theirs"
    (workspace / ".run").symlink_to("/tmp")
    with pytest.raises(errors.LocalError, match="leads out"):
        disk.write(str(workspace), new(".run/x.run.xml"))


def test_what_stands_in_the_way_is_told(workspace: Path) -> None:
    (workspace / ".vscode").write_text("a file")
    with pytest.raises(errors.LocalError, match="cannot be read: Not a directory"):
        disk.read(str(workspace), ".vscode/tasks.json")
    with pytest.raises(errors.LocalError, match="cannot be written") as caught:
        disk.write(str(workspace), new(".vscode/tasks.json"))
    assert caught.value.error_code == "DL0361" and "in the way" in caught.value.hint
    (workspace / ".run/x").mkdir(parents=True)
    with pytest.raises(errors.LocalError):
        disk.read(str(workspace), ".run/x")
    with pytest.raises(errors.LocalError):
        disk.write(str(workspace), new(".run/x"))
    assert os.listdir(workspace / ".run") == ["x"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_told(workspace: Path) -> None:
    (workspace / ".vscode").mkdir(mode=0o500)
    with pytest.raises(errors.LocalError, match="Permission denied"):
        disk.write(str(workspace), new(".vscode/tasks.json"))


def test_what_is_no_text_is_told_with_its_line(workspace: Path) -> None:
    (workspace / "x").write_bytes(b"a\nb\n\xff")
    with pytest.raises(errors.ConfigError, match="not UTF-8") as caught:
        disk.read(str(workspace), "x")
    assert caught.value.location() == "x:3:1"
    os.truncate(workspace / "x", disk.MAX_BYTES + 1)
    with pytest.raises(errors.LocalError, match="larger than 4 MiB"):
        disk.read(str(workspace), "x")


def test_links_to_folders_are_found(workspace: Path) -> None:
    (workspace / "web/a/b").mkdir(parents=True)
    (workspace / "common").mkdir()
    (workspace / "web/a/lib").symlink_to("../../common")
    (workspace / "web/gone").symlink_to("nowhere")
    (workspace / "web/loop").symlink_to(".")
    web = str(workspace / "web")
    assert dict(disk.followed([web, "/nowhere"])) == {
        web: (("loop", web), ("a/lib", str(workspace / "common"))),
        "/nowhere": (),
    }
