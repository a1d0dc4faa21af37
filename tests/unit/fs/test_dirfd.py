"""Folders by descriptor: no link is followed, nothing leaks, and what moved is told."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devloop.fs import dirfd


@pytest.fixture
def root_fd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    fd = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def open_count() -> int:
    return len(os.listdir("/dev/fd"))


def test_missing_folders_are_made_only_on_demand(root_fd: int, tmp_path: Path) -> None:
    with dirfd.Folders(root_fd) as folders:
        with pytest.raises(FileNotFoundError):
            folders.get("a/b/c")
        assert os.listdir(root_fd) == []
        fd = folders.get("a/b/c", make=True)
        os.mkdir("here", dir_fd=fd)
        assert folders.get("a/b/c") == fd
        assert folders.get("") == root_fd
    assert (tmp_path / "root/a/b/c/here").is_dir()


@pytest.mark.parametrize("path", ["link", "link/inside", "a/link", "a/link/inside"])
def test_a_link_is_not_followed(root_fd: int, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside"
    (outside / "inside").mkdir(parents=True)
    (tmp_path / "root/a").mkdir()
    for link in ("link", "a/link"):
        (tmp_path / "root" / link).symlink_to(outside)
    with dirfd.Folders(root_fd) as folders, pytest.raises(OSError) as caught:
        folders.get(path, make=True)
    assert caught.value.filename == path.removesuffix("/inside")
    assert list(outside.iterdir()) == [outside / "inside"]


def test_a_file_in_the_way_is_named(root_fd: int, tmp_path: Path) -> None:
    (tmp_path / "root/f").write_text("")
    with dirfd.Folders(root_fd) as folders, pytest.raises(NotADirectoryError) as caught:
        folders.get("f/x/y", make=True)
    assert caught.value.filename == "f"


def test_descriptors_are_bounded_and_closed(root_fd: int) -> None:
    before = open_count()
    with dirfd.Folders(root_fd, capacity=4) as folders:
        for index in range(20):
            os.fstat(folders.get(f"a/b{index}/c", make=True))
        assert open_count() <= before + 4
        os.fstat(folders.get("a/b0/c"))
    assert open_count() == before


def test_a_moved_a_replaced_and_a_removed_folder_are_told(root_fd: int, tmp_path: Path) -> None:
    root = tmp_path / "root"
    with dirfd.Folders(root_fd, capacity=2) as folders:
        for folder in ("same", "moved/below", "linked", "gone"):
            folders.get(folder, make=True)
        assert folders.moved() == []
        for folder in ("same", "moved/below", "linked", "gone"):
            folders.get(folder)
        (root / "moved").rename(root / "elsewhere")
        (root / "linked").rename(root / "old")
        (root / "linked").symlink_to("old")
        (root / "gone").rmdir()
        assert folders.moved() == ["gone", "linked", "moved", "moved/below"]
        assert folders.moved() == []


def test_a_forgotten_folder_is_opened_anew(root_fd: int) -> None:
    with dirfd.Folders(root_fd) as folders:
        old = os.fstat(folders.get("a/b", make=True)).st_ino
        os.rename("a", "z", src_dir_fd=root_fd, dst_dir_fd=root_fd)
        folders.forget("a")
        assert os.fstat(folders.get("a/b", make=True)).st_ino != old
        assert folders.moved() == []


def test_names_in_a_folder(root_fd: int, tmp_path: Path) -> None:
    for name in ("c", "a", "b"):
        (tmp_path / "root/d" / name).mkdir(parents=True)
    (tmp_path / "root/link").symlink_to("d")
    assert dirfd.names_in(root_fd, "d", 2) == (["a", "b"], 3)
    assert dirfd.names_in(root_fd, "missing", 2) == ([], 0)
    assert dirfd.names_in(root_fd, "link", 2) == ([], 0)
