"""Where things are kept."""

import os
import socket
import stat
from pathlib import Path

import pytest

from devloop import errors
from devloop.state import dirs


def test_one_variable_moves_everything(tmp_path: Path) -> None:
    found = dirs.find({"DEVLOOP_STATE_DIR": f"{tmp_path}/x/", "XDG_STATE_HOME": "/elsewhere"})
    assert found == dirs.Dirs(f"{tmp_path}/x", f"{tmp_path}/x/cache", f"{tmp_path}/x/log", f"{tmp_path}/x/run")


def test_a_relative_state_folder_is_refused() -> None:
    with pytest.raises(errors.UsageError, match="absolute"):
        dirs.find({"DEVLOOP_STATE_DIR": "state"})


def test_xdg_variables_count_unless_relative(tmp_path: Path) -> None:
    found = dirs.find({"XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c", "XDG_RUNTIME_DIR": str(tmp_path)})
    assert found == dirs.Dirs("/s/devloop", "/c/devloop", "/s/devloop/log", f"{tmp_path}/devloop")
    relative = dirs.find({"XDG_STATE_HOME": "s", "XDG_CACHE_HOME": "c", "XDG_RUNTIME_DIR": "r"})
    assert all(os.path.isabs(path) for path in (relative.state, relative.cache, relative.log, relative.runtime))
    assert relative.state != "s/devloop"


def test_a_runtime_folder_that_is_missing_or_too_long_is_made_elsewhere(tmp_path: Path) -> None:
    assert dirs.find({"XDG_RUNTIME_DIR": f"{tmp_path}/none"}).runtime.startswith("/")
    assert not dirs.find({"XDG_RUNTIME_DIR": f"{tmp_path}/none"}).runtime.startswith(str(tmp_path))
    long = tmp_path / ("x" * 100)
    long.mkdir()
    for variable in ("XDG_RUNTIME_DIR", "DEVLOOP_STATE_DIR"):
        runtime = dirs.find({variable: str(long)}).runtime
        assert not runtime.startswith(str(long))
        assert len(runtime) + len("/0123456789ab.sock") <= dirs.MAX_SOCKET_PATH_BYTES


def test_two_states_never_share_a_fallback(tmp_path: Path) -> None:
    one, two = (dirs.find({"DEVLOOP_STATE_DIR": f"/{letter * 100}"}).runtime for letter in "ab")
    assert one != two


def test_a_projects_folders_are_private_and_found_again(tmp_path: Path) -> None:
    (tmp_path / "My Shop").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "My Shop")
    found = dirs.find({"DEVLOOP_STATE_DIR": f"{tmp_path}/state"})
    project = dirs.project(found, str(tmp_path / "My Shop"))
    assert project.id.startswith("My-Shop-")
    for path in (found.state, project.state, project.log, found.log, found.runtime):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert dirs.project(found, f"{tmp_path}/./link/") == project
    (tmp_path / "other" / "My Shop").mkdir(parents=True)
    other = dirs.project(found, str(tmp_path / "other" / "My Shop"))
    assert len({project.id, other.id}) == len({project.socket, other.socket}) == 2


def test_the_socket_can_be_bound(tmp_path: Path) -> None:
    found = dirs.find({"DEVLOOP_STATE_DIR": f"{tmp_path}/s"})
    project = dirs.project(found, "/some/" + "long/" * 50 + "project")
    assert len(project.socket) <= dirs.MAX_SOCKET_PATH_BYTES
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(project.socket)
    os.unlink(project.socket)


def test_a_runtime_folder_of_someone_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = dirs.Dirs(str(tmp_path), str(tmp_path), str(tmp_path), str(tmp_path / "run"))
    (tmp_path / "run").symlink_to(tmp_path)
    with pytest.raises(errors.LocalError):
        dirs.runtime(found)
    (tmp_path / "run").unlink()
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    with pytest.raises(errors.LocalError, match="others may write"):
        dirs.runtime(found)
    (tmp_path / "run").chmod(0o700)
    assert dirs.runtime(found) == found.runtime
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(errors.LocalError, match="another user"):
        dirs.runtime(found)
