"""The key: new each time, and nobody else's to read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent import secret
from devloop import errors


def test_a_key_is_made_and_read(tmp_path: Path) -> None:
    path, key = secret.make(str(tmp_path))
    assert secret.read(str(tmp_path)) == key
    assert len(key) == 2 * secret.KEY_BYTES
    assert Path(path).read_bytes() == key
    assert [each.name for each in tmp_path.iterdir()] == [secret.NAME]


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_only_its_user_may_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        path, _ = secret.make(str(tmp_path))
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_each_start_has_its_own(tmp_path: Path) -> None:
    keys = {secret.make(str(tmp_path))[1] for _ in range(5)}
    assert len(keys) == 5
    assert secret.read(str(tmp_path)) in keys


def test_a_readable_file_that_lay_there_does_not_lend_its_mode(tmp_path: Path) -> None:
    for name in (secret.NAME, f"{secret.NAME}.new"):
        (tmp_path / name).write_text("old")
        (tmp_path / name).chmod(0o666)
    path, _ = secret.make(str(tmp_path))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f"{secret.NAME}.new").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        secret.make(str(tmp_path))
    assert victim.read_text() == "precious"


def test_no_key_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(errors.AgentError, match="no key at") as caught:
        secret.read(str(tmp_path))
    assert caught.value.hint
