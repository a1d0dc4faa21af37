"""State is its owner's."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.state import private


def test_folders_are_made_private(tmp_path: Path) -> None:
    made = private.folder(str(tmp_path / "a" / "b"))
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o700
    os.chmod(made, 0o755)
    private.folder(made)
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o700


def test_what_is_no_folder_of_ones_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link", "file/below"):
        with pytest.raises(errors.LocalError) as caught:
            private.folder(str(tmp_path / name))
        assert caught.value.hint
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(errors.LocalError, match="another user"):
        private.folder(str(tmp_path))


def test_small_files_are_written_whole_and_private(tmp_path: Path) -> None:
    private.write(str(tmp_path / "f"), b"one")
    private.write(str(tmp_path / "f"), b"two")
    assert (tmp_path / "f").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600
    (tmp_path / "d").mkdir()
    with pytest.raises(OSError, match="directory"):
        private.write(str(tmp_path / "d"), b"x")
    assert sorted(os.listdir(tmp_path)) == ["d", "f"]


@given(st.text())
def test_any_text_has_a_name(text: str) -> None:
    name = private.name(text)
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert len(name) <= 45
    assert not name.startswith((".", "-"))


def test_names_that_read_the_same_differ() -> None:
    assert private.slug("My shop/web!") == "My-shop-web"
    assert private.name("a b") != private.name("a-b")
    assert private.name("\udcff")
