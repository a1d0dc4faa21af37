"""Knowing a process again."""

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from devloop.proc import identity


def test_a_process_is_the_same_until_it_is_reaped() -> None:
    process = subprocess.Popen(["true"])
    who = identity.of(process.pid)
    assert who is not None
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity.is_same(who), "a zombie still has its id"
    process.wait()
    assert not identity.is_same(who)
    assert identity.of(process.pid) is None


@pytest.mark.parametrize("field", ["start", "boot"])
def test_the_same_id_at_another_time_is_someone_else(field: str) -> None:
    who = identity.of(os.getpid())
    assert who is not None
    assert identity.is_same(who)
    assert not identity.is_same(msgspec.structs.replace(who, **{field: "another"}))


def test_an_identity_survives_in_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "app.json")
    who = identity.Identity(7, "99", "boot")
    identity.save(path, who)
    assert identity.load(path) == who
    assert os.listdir(tmp_path) == ["app.json"]
    identity.forget(path)
    identity.forget(path)
    assert identity.load(path) is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b'{"pid": "x"}', b'{"pid": 7, "start'])
def test_a_file_with_something_else_in_it_names_no_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "app.json"
    path.write_bytes(content)
    assert identity.load(str(path)) is None
