"""Bodies wait under private names, and only the wanted content comes out."""

import errno
import os
from pathlib import Path

import pytest

from agent import probe, roots, staging
from devloop.core import entry
from tests.unit.agent import target
from tests.unit.agent.target import L, Target, X


@pytest.fixture
def stage(box: Target) -> staging.Stage:
    return staging.Stage(box.root)


def read(box: Target, name: str) -> bytes:
    return (Path(box.spec.stage) / "bodies" / name).read_bytes()


def test_names_are_new_within_and_between_runs(box: Target, stage: staging.Stage) -> None:
    stages = [stage, staging.Stage(box.root)]
    names = {one.write(b"", executable=False).name for one in stages for _ in range(50)}
    assert len(names) == 100 == len(box.staged())
    assert stage.drop_others(list(names)[:1]) == 99
    assert stage.tidy()
    assert box.staged() == list(names)[:1]


def test_a_copy_stops_at_the_wanted_size_and_keeps_only_the_wanted_content(
    box: Target, stage: staging.Stage, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 5_000_000)
    wanted = target.entry_of(X("x" * 5_000_000))
    shorter = target.entry_of("x" * 10)
    for expected, size in ((wanted, 5_000_000), (shorter, None), (target.entry_of("y" * 5_000_000), None)):
        with source.open("rb") as file:
            staged = stage.copy(file.fileno(), expected)
        assert (staged is not None) == (size is not None)
        if staged is not None:
            assert len(read(box, staged.name)) == size
            stage.drop(staged.name)
        assert stage.tidy() and box.staged() == []


def test_a_copy_that_fails_leaves_nothing(
    box: Target, stage: staging.Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").write_text("hello")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with (tmp_path / "source").open("rb") as file, pytest.raises(OSError, match="No space"):
        stage.copy(file.fileno(), target.entry_of("hello"))
    assert stage.tidy() and box.staged() == []


def test_what_is_dropped_or_set_aside_goes_when_there_is_time(box: Target, stage: staging.Stage) -> None:
    target.write_disk(box.data, {"a": "hello", "b": "1", "l": L("a")})
    stage.set_aside(box.root.data_fd, "a", 5)
    stage.set_aside(box.root.data_fd, "missing", 7)
    for _ in range(3):
        stage.drop(stage.write(b"x", executable=False).name)
    (box.data / "a").unlink()
    assert stage.garbage_bytes == 5
    assert not stage.tidy(lambda: False)
    assert len(box.staged()) == 3
    assert stage.tidy()
    assert stage.garbage_bytes == 0
    assert box.staged() == []
    assert box.disk() == {"b": "1", "l": L("a")}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_tidied_before_it_is_given_up(
    box: Target, stage: staging.Stage, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    full = [True]
    real_write, real_pwrite, real_unlink = os.write, os.pwrite, os.unlink

    def check() -> None:
        if full[0]:
            raise OSError(number, os.strerror(number))

    def write(fd: int, data: bytes) -> int:
        check()
        return real_write(fd, data)

    def pwrite(fd: int, data: bytes, at: int) -> int:
        check()
        return real_pwrite(fd, data, at)

    def unlink(name: str, *, dir_fd: int) -> None:
        real_unlink(name, dir_fd=dir_fd)
        full[0] = name != dropped.name and full[0]

    dropped, incoming = stage.write(b"", executable=False), stage.begin(executable=False)
    for name, call in (("write", write), ("pwrite", pwrite), ("unlink", unlink)):
        monkeypatch.setattr(os, name, call)
    with pytest.raises(OSError):
        stage.write(b"hello", executable=False)
    with pytest.raises(OSError):
        stage.add(incoming, b"hello")
    stage.drop(dropped.name)
    stage.add(incoming, b"hello")
    assert read(box, incoming.name) == b"hello"
    full[0] = True
    dropped = stage.write(b"", executable=False)
    stage.drop(dropped.name)
    assert read(box, stage.write(b"hello", executable=False).name) == b"hello"


def test_what_an_earlier_run_staged_is_recalled_only_if_it_is_whole(box: Target, stage: staging.Stage) -> None:
    body = stage.write(b"hello", executable=False)
    link = stage.link(b"caf\xe9")
    assert stage.recall(body.name, target.entry_of("hello")) == body
    assert stage.recall(body.name, target.entry_of("hellO")) is None
    assert stage.recall(body.name, entry.link(b"hello")) is None
    assert stage.recall(link.name, entry.link(b"caf\xe9")) == link
    assert stage.recall(link.name, target.entry_of(L("other"))) is None
    assert stage.recall("missing", target.entry_of("hello")) is None


def test_bits_are_set_afterwards_where_creation_does_not(box: Target, stage: staging.Stage) -> None:
    box.root.modes = probe.ModeSupport.BY_CHMOD
    umask = os.umask(0o177)
    try:
        staged = stage.write(b"", executable=True)
    finally:
        os.umask(umask)
    assert os.stat(staged.name, dir_fd=box.root.stage_fd).st_mode & 0o700 == 0o700


def test_a_stage_that_was_opened_for_others_is_still_private(tmp_path: Path) -> None:
    spec = target.spec_in(tmp_path)
    os.makedirs(spec.stage)
    os.chmod(spec.stage, 0o777)
    with roots.Root.open(spec) as root:
        assert os.fstat(root.stage_fd).st_mode & 0o777 == 0o700
