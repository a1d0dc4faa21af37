"""The root that goes and comes back."""

import pathlib
import shutil

import pytest

from devloop.watch import events, rootguard


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_text("x")
    return tmp_path / "root"


def test_nothing_is_told_of_a_root_that_stays(root: pathlib.Path) -> None:
    subject = rootguard.RootGuard(str(root))
    (root / "file").unlink()
    assert subject.look() is None


def test_a_renamed_root_is_told_once_and_when_it_is_back(root: pathlib.Path) -> None:
    subject = rootguard.RootGuard(str(root))
    root.rename(root.with_name("elsewhere"))
    assert isinstance(subject.look(), events.RootGone)
    assert subject.look() is None
    root.with_name("elsewhere").rename(root)
    assert isinstance(subject.look(), events.RootBack)
    assert subject.look() is None


def test_an_empty_folder_in_its_place_is_not_the_root(root: pathlib.Path) -> None:
    subject = rootguard.RootGuard(str(root))
    root.rename(root.with_name("elsewhere"))
    root.mkdir()
    assert isinstance(subject.look(), events.RootGone)
    (root / "new").write_text("y")
    assert isinstance(subject.look(), events.RootBack)


def test_a_file_in_its_place_is_not_the_root(root: pathlib.Path) -> None:
    subject = rootguard.RootGuard(str(root))
    shutil.rmtree(root)
    root.write_text("no folder")
    assert isinstance(subject.look(), events.RootGone)


def test_what_someone_else_found_lost_is_not_told_again(root: pathlib.Path) -> None:
    subject = rootguard.RootGuard(str(root))
    shutil.rmtree(root)
    subject.lose("deleted")
    assert subject.look() is None


def test_a_file_cannot_be_guarded(root: pathlib.Path) -> None:
    with pytest.raises(NotADirectoryError):
        rootguard.RootGuard(str(root / "file"))
