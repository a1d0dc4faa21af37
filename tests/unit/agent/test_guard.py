"""Folders that are never written to."""

import os
from pathlib import Path

import pytest

from agent import guard
from devloop import errors


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "//",
            "/.",
            "/etc",
            "/etc/",
            "/usr",
            "/bin",
            "/sbin",
            "/lib",
            "/lib64",
            "/proc",
            "/sys",
            "/dev",
            "/x/..",
        ),
        *("/usr/bin", "/usr/lib/python3", "/lib/x", "/proc/1", "/sys/fs", "/dev/shm", "/dev/pts/0", "/x/../etc"),
        *("/proc/1/root", "/proc/12/root/", "/proc/1/root/etc", "/proc/1/root/usr/bin", "/proc/self/root"),
    ],
)
def test_the_systems_folders_are_refused(path: str) -> None:
    assert guard.is_system_folder(path)


@pytest.mark.parametrize(
    "path",
    [
        "/app",
        "/usr/src/app",
        "/usr/share/nginx/html",
        "/etc/app",
        "/library",
        "/libs/x",
        "/dev/shm/x",
        "/proc/1/root/app",
        "/var/www",
    ],
)
def test_an_applications_folders_are_not(path: str) -> None:
    assert not guard.is_system_folder(path)


def test_a_local_target_is_new_or_empty_or_marked(tmp_path: Path) -> None:
    guard.guard_local_target(str(tmp_path / "new"))
    guard.guard_local_target(str(tmp_path))
    assert not (tmp_path / "new").exists()
    guard.mark_local_target(str(tmp_path / "made/deep"))
    (tmp_path / "made/deep/app").mkdir()
    guard.guard_local_target(str(tmp_path / "made/deep"))
    guard.mark_local_target(str(tmp_path / "made/deep"))


def test_anything_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    for name in ("b", "a", "c", "d"):
        (tmp_path / name).touch()
    with pytest.raises(errors.RootError, match=r"not empty \(a, b, c, …\)") as caught:
        guard.mark_local_target(str(tmp_path))
    assert caught.value.hint
    with pytest.raises(errors.RootError, match="Not a directory"):
        guard.mark_local_target(str(tmp_path / "a"))
    assert len(os.listdir(tmp_path)) == 4


def test_a_marker_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(errors.RootError, match="Permission denied"):
        guard.mark_local_target(str(tmp_path))
