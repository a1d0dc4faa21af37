"""What a file system can do is found out by trying, without a trace."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import probe

_MOUNTS = "/proc/self/mountinfo"


@pytest.fixture
def folder_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_an_ordinary_file_system(folder_fd: int, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    sub_fd = os.open(tmp_path / "sub", os.O_RDONLY | os.O_DIRECTORY)
    assert probe.same_mount(folder_fd, sub_fd)
    os.close(sub_fd)
    probe.try_to_write(folder_fd)
    assert probe.abilities(folder_fd).modes is probe.ModeSupport.BY_OPEN
    assert os.listdir(folder_fd) == ["sub"]


def test_folders_that_nothing_can_be_renamed_between(folder_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def crossed(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", crossed)
    assert not probe.same_mount(folder_fd, folder_fd)
    proc_fd = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    assert not probe.same_mount(folder_fd, proc_fd)
    os.close(proc_fd)


@pytest.mark.parametrize(("kind", "waits"), [("ext4", True), ("xfs", False)])
def test_a_file_system_that_writes_at_a_rename_is_known_by_its_type(
    folder_fd: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, waits: bool
) -> None:
    device = os.fstat(folder_fd).st_dev
    here = f"{os.major(device)}:{os.minor(device)}"
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "21 1 0:999 / /other rw - tmpfs none rw\n"
        f"27 1 {here} / /with\\040blank rw,relatime shared:1 master:2 - {kind} /dev/vda rw\n"
    )
    real = open
    monkeypatch.setattr("builtins.open", lambda path, **more: real(mounts if path == _MOUNTS else path, **more))
    assert probe.abilities(folder_fd).writes_at_rename is waits


def test_a_file_system_of_no_known_type_is_taken_as_quick(folder_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    assert not probe.abilities(folder_fd).writes_at_rename


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR])
def test_writing_is_tried_with_a_name_where_nameless_files_are_unknown(
    folder_fd: int, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real, made = os.mkdir, []

    def without(*_: object, **__: object) -> int:
        raise OSError(number, "no O_TMPFILE here")

    def seen(name: str, *rest: Any, **more: Any) -> None:
        made.append(name)
        real(name, *rest, **more)

    monkeypatch.setattr(os, "open", without)
    monkeypatch.setattr(os, "mkdir", seen)
    probe.try_to_write(folder_fd)
    assert len(made) == 1 and os.listdir(folder_fd) == []


def masked(real: Callable[..., int], bits: int) -> Callable[..., int]:
    def call(name: str, flags: int, mode: int = 0o777, **more: Any) -> int:
        return real(name, flags, mode & bits, **more)

    return call


def test_bits_that_only_chmod_sets(folder_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", masked(os.open, 0o666))
    assert probe.abilities(folder_fd).modes is probe.ModeSupport.BY_CHMOD


def test_bits_that_cannot_be_set(folder_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", masked(os.open, 0o666))
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    assert probe.abilities(folder_fd).modes is probe.ModeSupport.NONE


def test_a_file_system_where_everything_is_executable(folder_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_executable", lambda *_: True)
    assert probe.abilities(folder_fd).modes is probe.ModeSupport.NONE


def test_a_file_system_that_ignores_case(folder_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **more: real(path.lower(), **more))
    assert not probe.abilities(folder_fd).case_sensitive
