"""A root is made, known again, guarded, and refused with a reason and a way out."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent import roots
from devloop import errors
from tests.unit.agent import target

NOBODY = 65534


@contextlib.contextmanager
def without_root() -> Iterator[None]:
    """Be somebody without privileges for a while."""
    if os.geteuid():
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def failure(spec: roots.RootSpec) -> errors.AgentError:
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(errors.AgentError) as caught:
        roots.Root.open(spec)
    assert len(os.listdir("/dev/fd")) == before
    assert caught.value.hint
    return caught.value


def test_missing_folders_are_made_and_the_identity_stays(tmp_path: Path) -> None:
    spec = target.spec_in(tmp_path)
    with roots.Root.open(spec) as root:
        first = root.tree_id
        assert len(first) == 32 and int(first, 16)
        assert os.listdir(spec.data) == []
        assert os.listdir(root.stage_fd) == []
    with roots.Root.open(spec) as root:
        assert root.tree_id == first
    Path(spec.state, "tree-id").write_text("damaged")
    with roots.Root.open(spec) as root:
        assert len(root.tree_id) == 32 and root.tree_id != first
    with roots.Root.open(target.spec_in(tmp_path, "other")) as root:
        assert root.tree_id != first


def test_two_agents_do_not_share_a_root(tmp_path: Path) -> None:
    spec = target.spec_in(tmp_path)
    with roots.Root.open(spec):
        assert "another agent already serves" in failure(spec).message
    roots.Root.open(spec).close()


@pytest.mark.parametrize("what", ["data", "stage", "state"])
def test_a_file_where_a_folder_must_be(tmp_path: Path, what: str) -> None:
    spec = target.spec_in(tmp_path)
    path = Path(getattr(spec, what))
    path.parent.mkdir()
    path.write_text("mine")
    assert f"{path} of the root /r is not a folder" in failure(spec).message
    below = msgspec.structs.replace(spec, **{what: str(path / "below")})
    assert "below a file" in failure(below).message
    assert path.read_text() == "mine"


def test_a_folder_of_someone_else_is_told_with_its_owner(open_place: Path) -> None:
    spec = target.spec_in(open_place)
    for folder in (spec.data, spec.stage, spec.state):
        os.makedirs(folder)
        os.chmod(folder, 0o777)
    os.chmod(spec.data, 0o555)
    with without_root():
        error = failure(spec)
        who = f"uid {os.geteuid()}, gid {os.getegid()}"
    assert error.message == (
        f"the synced folder {spec.data} of the root /r is not writable for {who}: Permission denied (EACCES)"
    )
    assert f"{spec.data} belongs to uid {os.geteuid()}, gid {os.getegid()}, mode 0555" in error.hint
    with without_root():
        missing = msgspec.structs.replace(spec, data=f"{spec.data}/below/that")
        assert f"{spec.data} belongs to" in failure(missing).hint
        for what in ("stage", "state"):
            closed = msgspec.structs.replace(spec, **{what: spec.data + "-", "data": spec.stage + "+"})
            assert "EACCES" in failure(closed).message


def test_a_read_only_volume_is_told(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(volume)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting takes root and the right to mount")
    try:
        spec = msgspec.structs.replace(target.spec_in(tmp_path), data=str(volume))
        assert "EXDEV" in failure(spec).message
        error = failure(target.spec_in(volume))
        assert "EROFS" in error.message and "writable volume" in error.hint
    finally:
        subprocess.run(["umount", str(volume)], check=True)


def test_one_volume_mounted_twice_is_refused(tmp_path: Path) -> None:
    spec = target.spec_in(tmp_path)
    os.makedirs(spec.data)
    (tmp_path / "real").mkdir()
    mount = ["mount", "--bind", str(tmp_path / "real"), spec.data]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting takes root and the right to mount")
    try:
        assert os.stat(spec.data).st_dev == os.stat(tmp_path).st_dev
        error = failure(spec)
        assert "not on the same mount (EXDEV)" in error.message and "mount the volume once" in error.hint
    finally:
        subprocess.run(["umount", spec.data], check=True)


@pytest.mark.parametrize("field", ["data", "to"])
@pytest.mark.parametrize("path", ["/", "/etc", "/usr/bin", "/proc/1/root/", "/sys/x", "/dev"])
def test_system_folders_are_refused_by_name(tmp_path: Path, field: str, path: str) -> None:
    spec = msgspec.structs.replace(target.spec_in(tmp_path), **{field: path})
    assert f"does not sync to {path}" in failure(spec).message


def test_system_folders_are_refused_under_other_names(tmp_path: Path) -> None:
    (tmp_path / "innocent").symlink_to("/etc")
    spec = msgspec.structs.replace(target.spec_in(tmp_path), data=str(tmp_path / "innocent"))
    assert "innocent is /etc" in failure(spec).message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "relative"}, "not an absolute path"),
        ({"state": ""}, "not an absolute path"),
        ({"data": "/a\0b"}, "not an absolute path"),
        ({"stage": "/app/stage"}, "must not contain each other"),
        ({"state": "/app"}, "must not contain each other"),
        ({"stage": "/app/.devloop/../stage"}, "must not contain each other"),
        ({"stage": "/app/.git/stage"}, "must not contain each other"),
        ({"stage": "/x/../app/y"}, "must not contain each other"),
        ({"data": "/s"}, "must not contain each other"),
    ],
)
def test_folders_that_make_no_sense_are_refused(changes: dict[str, str], said: str) -> None:
    spec = msgspec.structs.replace(roots.RootSpec("/app", "/app", "/s/stage", "/s/state"), **changes)
    with pytest.raises(errors.AgentError, match=said):
        roots.check_spec(spec)


ONE = roots.RootSpec("/app", "/v/one/data", "/v/one/stage", "/v/one/state")
TWO = roots.RootSpec("/lib-x", "/v/two/data", "/v/two/stage", "/v/two/state")


def test_roots_come_as_json() -> None:
    assert roots.parse_specs(msgspec.json.encode([ONE, TWO])) == (ONE, TWO)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "cannot be read"),
        (b"[]", "without any root"),
        (b'[{"to": "/app"}]', "cannot be read"),
        (b"\xff", "cannot be read"),
        (msgspec.json.encode([ONE, msgspec.structs.replace(TWO, data="/v/one/data/sub")]), "overlap"),
        (msgspec.json.encode([ONE, msgspec.structs.replace(TWO, state="/v/one/state")]), "overlap"),
        (msgspec.json.encode([ONE, msgspec.structs.replace(TWO, data="/v")]), "must not contain"),
        (msgspec.json.encode([msgspec.structs.replace(ONE, data="/etc")]), "does not sync to /etc"),
        (msgspec.json.encode([msgspec.structs.replace(ONE, keep=("../x",))]), "cannot be kept"),
    ],
)
def test_bad_roots_are_refused(raw: bytes, said: str) -> None:
    with pytest.raises(errors.AgentError, match=said):
        roots.parse_specs(raw)


def test_where_all_of_a_mount_is_synced_the_rest_is_hidden_in_it(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    spec = roots.RootSpec("/app", data, f"{data}/.devloop/stage", f"{data}/.devloop/state")
    assert roots.parse_specs(msgspec.json.encode([spec])) == (spec,)
    with roots.Root.open(spec) as root:
        assert os.listdir(data) == [".devloop"]
        assert root.is_empty()


def test_a_root_knows_whether_anything_is_in_it(tmp_path: Path) -> None:
    with roots.Root.open(target.spec_in(tmp_path)) as root:
        assert root.is_empty()
        (Path(root.spec.data) / ".hidden").touch()
        assert not root.is_empty()
        assert len(os.listdir(root.data_fd)) == 1
        os.close(root.data_fd)
        assert not root.is_empty()
        root.data_fd = os.open(root.spec.data, os.O_RDONLY)


def test_a_replaced_folder_is_opened_anew(tmp_path: Path) -> None:
    with roots.Root.open(target.spec_in(tmp_path)) as root:
        assert not root.reopen_if_replaced()
        Path(root.spec.data).rmdir()
        assert root.reopen_if_replaced()
        assert os.path.samestat(os.fstat(root.data_fd), os.stat(root.spec.data))
        Path(root.spec.data).rmdir()
        Path(root.spec.data).write_text("")
        with pytest.raises(errors.AgentError, match="is not a folder"):
            root.reopen_if_replaced()
        Path(root.spec.data).unlink()
        assert root.reopen_if_replaced()
