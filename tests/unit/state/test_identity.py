"""Who this is."""

import getpass
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devloop import errors
from devloop.state import identity


def test_the_installations_id_is_made_once(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    first = identity.install_id(state)
    assert len(first) == 16
    assert identity.install_id(state) == first
    assert stat.S_IMODE((tmp_path / "state" / "install-id").stat().st_mode) == 0o600
    assert identity.install_id(str(tmp_path / "other")) != first


def test_all_who_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: identity.install_id(str(tmp_path / "state")), range(40)))
    assert len(found) == 1
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["install-id"]


@pytest.mark.parametrize("damaged", [b"", b"short", b"\xff" * 16, b"0123456789abcdef0"])
def test_a_damaged_id_is_replaced(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "install-id").write_bytes(damaged)
    first = identity.install_id(str(tmp_path))
    assert len(first) == 16
    assert identity.install_id(str(tmp_path)) == first


def test_an_id_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "install-id").mkdir()
    with pytest.raises(errors.LocalError, match="install-id"):
        identity.install_id(str(tmp_path))


def test_the_owner_is_user_at_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity.owner() == f"{identity.user()}@{identity.host()}"

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert identity.user().isdigit()
