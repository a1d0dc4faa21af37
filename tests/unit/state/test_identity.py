"""Others see a readable owner and a stable installation."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devloop import errors
from devloop.state import identity


def test_the_owner_is_user_at_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    assert identity.owner() == f"ann@{identity.host()}"
    assert identity.owner().count("@") == 1


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert identity.user() == f"uid-{os.getuid()}"


def test_names_cannot_break_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ann\n\x1b[31m@x " + "y" * 200)
    assert identity.user().isprintable()
    assert "@" not in identity.user()
    assert len(identity.user()) <= 64


def test_an_installation_keeps_its_id(tmp_path: Path) -> None:
    first = identity.install_id(str(tmp_path))
    assert len(first) == 32
    assert identity.install_id(str(tmp_path)) == first
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_installations_differ(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert identity.install_id(str(tmp_path / "a")) != identity.install_id(str(tmp_path / "b"))


def test_all_that_ask_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(identity.install_id, [str(tmp_path)] * 64))) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"xyz\n", b"\xff" * 32, b"0" * 31])
def test_a_damaged_id_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "install.id").write_bytes(content)
    fresh = identity.install_id(str(tmp_path))
    assert len(fresh) == 32
    assert identity.install_id(str(tmp_path)) == fresh


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.LocalError):
        identity.install_id(str(tmp_path / "gone"))
