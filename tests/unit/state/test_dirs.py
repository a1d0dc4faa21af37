"""Every project has its own private folders, and sockets whose paths are short."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from devloop import errors
from devloop.state import dirs


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEVLOOP_STATE_DIR", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    for kind in ("STATE", "CACHE", "DATA", "CONFIG"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / "xdg" / kind.lower()))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    (tmp_path / "shop").mkdir()


def folders_of(places: dirs.Places) -> list[str]:
    return [places.state, places.cache, places.logs, places.runtime, places.bases, places.trash]


def test_xdg_decides_where_things_are(tmp_path: Path) -> None:
    places = dirs.project(str(tmp_path / "shop"))
    assert places.state.startswith(str(tmp_path / "xdg/state/devloop/projects/shop-"))
    assert places.lock.startswith(str(tmp_path / "xdg/state/devloop/projects/shop-"))
    assert places.trash.startswith(str(tmp_path / "xdg/state/devloop/projects/shop-"))
    assert places.cache.startswith(str(tmp_path / "xdg/cache/devloop/"))
    assert places.bases == str(tmp_path / "xdg/cache/devloop/bases")
    for folder in folders_of(places):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_missing_parents_are_private_too(tmp_path: Path) -> None:
    dirs.project(str(tmp_path / "shop"))
    assert stat.S_IMODE(os.stat(tmp_path / "xdg/state/devloop").st_mode) == 0o700


def test_one_variable_moves_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("DEVLOOP_STATE_DIR", short)
        places = dirs.project(str(tmp_path / "shop"))
        for path in [*folders_of(places), places.lock, places.socket]:
            assert path.startswith(short + "/")


def test_a_long_override_does_not_reach_the_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVLOOP_STATE_DIR", str(tmp_path / ("x" * 90)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("y" * 90)))
    places = dirs.project(str(tmp_path / "shop"))
    assert places.runtime.startswith(f"/tmp/devloop-{os.getuid()}/")
    os.rmdir(places.runtime)
    assert places.state.startswith(str(tmp_path / ("x" * 90)))


@pytest.mark.parametrize("service", ["web", "w" * 20, "w" * 500, "ünï", "../../etc", "a/b", "", "-", "a.b"])
def test_sockets_are_short_and_stay_in_the_runtime_folder(
    tmp_path: Path, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        places = dirs.project(str(tmp_path / "shop"))
        path = places.agent_socket(service)
        assert len(os.fsencode(path)) <= 100
        assert len(os.fsencode(places.socket)) <= 100
        assert os.path.dirname(os.path.normpath(path)) == places.runtime


@pytest.mark.parametrize("length", range(20, 100, 3))
def test_sockets_are_short_wherever_the_temp_folder_is(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not dirs._fits("/" + "x" * 70)
    runtime = "/" + "x" * length
    places = dirs.Places("", "", "", runtime, "", "", "", "")
    if dirs._fits(runtime):
        for service in ("w" * 20, "w" * 21):
            assert len(places.agent_socket(service)) <= 100


def test_services_have_sockets_of_their_own(tmp_path: Path) -> None:
    places = dirs.Places("", "", "", "/r", "", "/r/control.sock", "", "")
    names = ["web", "Web", "web.", "control", "w" * 21, "w" * 22, "ü", "", dirs._hash("ü")]
    assert len({places.agent_socket(name) for name in names} | {places.socket}) == len(names) + 1


def test_a_project_is_its_real_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other" / "shop").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "shop")
    one = dirs.project_id(str(tmp_path / "shop"))
    assert dirs.project_id(str(tmp_path / "link")) == one
    assert dirs.project_id(str(tmp_path / "shop") + "/") == one
    assert dirs.project_id(str(tmp_path / "other" / "shop")) != one
    monkeypatch.chdir(tmp_path)
    assert dirs.project_id("shop") == one


def test_a_folder_name_of_any_bytes_has_an_id() -> None:
    assert dirs.project_id("/").startswith("project-")
    assert dirs.project_id("/caf\udce9 ü/\u202e!").startswith("project-")
    assert len(dirs.project_id("/" + "n" * 255)) < 60


def test_the_users_runtime_folder_is_used_when_it_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as given:
        monkeypatch.setenv("XDG_RUNTIME_DIR", given)
        assert dirs.project(str(tmp_path / "shop")).runtime.startswith(given + "/devloop/")
        os.chmod(given, 0o777)
        assert not dirs.project(str(tmp_path / "shop")).runtime.startswith(given)
        monkeypatch.setenv("XDG_RUNTIME_DIR", given + "/gone")
        assert not dirs.project(str(tmp_path / "shop")).runtime.startswith(given)


def test_a_runtime_folder_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        other = os.getuid() + 1
        os.mkdir(f"{short}/devloop-{other}", 0o700)
        monkeypatch.setattr(os, "getuid", lambda: other)
        with pytest.raises(errors.LocalError, match="belongs to the user") as caught:
            dirs._runtime("shop-1234")
        assert "DEVLOOP_STATE_DIR" in caught.value.hint


@pytest.mark.parametrize("planted", ["link", "file", "open"])
def test_a_planted_runtime_folder_is_refused(monkeypatch: pytest.MonkeyPatch, planted: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        ours = f"{short}/devloop-{os.getuid()}"
        if planted == "link":
            os.mkdir(f"{short}/real", 0o700)
            os.symlink(f"{short}/real", ours)
        elif planted == "file":
            Path(ours).touch()
        else:
            os.mkdir(ours)
            os.chmod(ours, 0o777)
        with pytest.raises(errors.LocalError):
            dirs._runtime("shop-1234")


def test_a_readable_folder_of_ours_is_closed(tmp_path: Path) -> None:
    places = dirs.project(str(tmp_path / "shop"))
    os.chmod(places.trash, 0o755)
    dirs.project(str(tmp_path / "shop"))
    assert stat.S_IMODE(os.stat(places.trash).st_mode) == 0o700


def test_a_state_folder_that_cannot_be_made_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEVLOOP_STATE_DIR", str(tmp_path / "file" / "state"))
    with pytest.raises(errors.LocalError) as caught:
        dirs.project(str(tmp_path / "shop"))
    assert "DEVLOOP_STATE_DIR" in caught.value.hint


def test_importing_it_is_cheap() -> None:
    script = "import sys, devloop.state.dirs; print({'pydantic', 'asyncio', 'platformdirs'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "set()"
