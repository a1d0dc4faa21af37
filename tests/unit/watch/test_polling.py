"""Polling on real folders."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

from devloop import errors
from devloop.watch import events, polling
from tests.unit.watch import support

NEVER_S = 3_600.0


class Polled:
    """A root that is walked only when a mark is asked for."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.recorder = support.Recorder()
        self.backend = polling.Polling(NEVER_S)

    def start(self) -> None:
        self.backend.start(str(self.root), lambda path: path.rpartition("/")[2] == "node_modules", self.recorder)

    def told(self) -> list[events.Event]:
        return self.recorder.sync(self.backend)


@pytest.fixture
def polled(tmp_path: pathlib.Path) -> Iterator[Polled]:
    (tmp_path / "root").mkdir()
    subject = Polled(tmp_path / "root")
    yield subject
    subject.backend.stop()


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the tests write is always younger than the guard's 50 ms; one test asks for the guard itself.
    monkeypatch.setattr(polling, "_RACY_NS", -60_000_000_000)


def test_changes_of_every_kind_are_told(polled: Polled) -> None:
    (polled.root / "d").mkdir()
    for name in ("same", "content", "mode", "gone", "d/moved", "replaced"):
        (polled.root / name).write_text("x")
    polled.start()
    assert polled.told() == []
    (polled.root / "content").write_text("longer")
    (polled.root / "mode").chmod(0o755)
    (polled.root / "gone").unlink()
    (polled.root / "d/moved").rename(polled.root / "d/here")
    (polled.root / "other").write_text("x")
    (polled.root / "other").replace(polled.root / "replaced")
    (polled.root / "link").symlink_to("same")
    told = polled.told()
    assert support.of(events.Dirty, told) == {"content", "mode", "d/here", "replaced", "link"}
    assert support.of(events.Vanished, told) == {"gone", "d/moved"}
    assert polled.told() == []


def test_new_and_removed_folders_are_told(polled: Polled) -> None:
    (polled.root / "old").mkdir()
    polled.start()
    (polled.root / "old").rmdir()
    (polled.root / "new/deep").mkdir(parents=True)
    (polled.root / "new/deep/f").write_text("x")
    told = polled.told()
    assert support.of(events.Dirty, told) == {"new", "new/deep", "new/deep/f"}
    assert support.of(events.Vanished, told) == {"old"}


def test_pruned_and_reserved_folders_are_not_looked_at(polled: Polled) -> None:
    for folder in ("node_modules/p", ".git", "a/.devloop", "a/node_modules"):
        (polled.root / folder).mkdir(parents=True)
    polled.start()
    for folder in ("node_modules/p", ".git", "a/.devloop", "a/node_modules"):
        (polled.root / folder / "f").write_text("x")
    assert polled.told() == []


def test_links_to_folders_are_not_followed(polled: Polled, tmp_path: pathlib.Path) -> None:
    (tmp_path / "outside").mkdir()
    (polled.root / "link").symlink_to(tmp_path / "outside")
    polled.start()
    (tmp_path / "outside/f").write_text("x")
    assert polled.told() == []


def test_names_that_are_not_utf_8_keep_their_bytes(polled: Polled) -> None:
    polled.start()
    with open(os.fsencode(polled.root) + b"/caf\xe9", "w"):
        pass
    assert support.of(events.Dirty, polled.told()) == {"caf\udce9"}


def test_a_folder_that_cannot_be_read_has_not_lost_its_files(polled: Polled, monkeypatch: pytest.MonkeyPatch) -> None:
    (polled.root / "d").mkdir()
    (polled.root / "d/f").write_text("x")
    polled.start()
    scandir = os.scandir

    def refuse(path: bytes) -> object:
        if path.endswith(b"/d"):
            raise PermissionError(13, "closed to this user")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        assert polled.told() == []
    (polled.root / "d/f").unlink()
    assert support.of(events.Vanished, polled.told()) == {"d/f"}


def test_a_lost_root_is_told_instead_of_its_files_and_so_is_its_return(polled: Polled) -> None:
    (polled.root / "f").write_text("x")
    polled.start()
    polled.root.rename(polled.root.with_name("elsewhere"))
    [told] = polled.told()
    assert isinstance(told, events.RootGone)
    assert polled.told() == []
    polled.root.with_name("elsewhere").rename(polled.root)
    assert polled.told() == [events.RootBack(), events.Rescan("", events.Reason.ROOT_BACK)]
    (polled.root / "f").unlink()
    assert support.of(events.Vanished, polled.told()) == {"f"}


def test_it_looks_by_itself(tmp_path: pathlib.Path) -> None:
    recorder, subject = support.Recorder(), polling.Polling(0.01)
    subject.start(str(tmp_path), lambda path: False, recorder)
    try:
        (tmp_path / "f").write_text("x")
        recorder.wait_for(lambda event: event == events.Dirty(frozenset({"f"})))
    finally:
        subject.stop()


def test_only_covered_folders_are_looked_at_and_told_once_remembered(tmp_path: pathlib.Path) -> None:
    for folder in ("a/in", "b"):
        (tmp_path / folder).mkdir(parents=True)
    recorder, subject = support.Recorder(), polling.Polling(NEVER_S, whole=False)
    subject.start(str(tmp_path), lambda path: False, recorder)
    try:
        for folder in ("a", "a/in", "missing"):
            subject.cover(folder)
        assert recorder.sync(subject) == [events.Rescan("a", events.Reason.POLL)]
        (tmp_path / "a/in/f").write_text("x")
        (tmp_path / "b/f").write_text("x")
        assert support.of(events.Dirty, recorder.sync(subject)) == {"a/in/f"}
        (tmp_path / "a").rename(tmp_path / "c")
        assert recorder.sync(subject) == [events.Vanished(frozenset({"a"}))]
    finally:
        subject.stop()


def test_what_is_beside_the_tree_is_told_by_name(polled: Polled, tmp_path: pathlib.Path) -> None:
    (tmp_path / "git/refs").mkdir(parents=True)
    (tmp_path / "git/HEAD").write_text("1")
    polled.start()
    beside = str(tmp_path / "git")
    polled.backend.watch_beside(frozenset({beside}))
    assert polled.told() == [events.Beside(beside, "")]
    (tmp_path / "git/index.lock").touch()
    (tmp_path / "git/HEAD").write_text("22")
    assert set(polled.told()) == {events.Beside(beside, "index.lock"), events.Beside(beside, "HEAD")}
    (tmp_path / "git/index.lock").unlink()
    assert polled.told() == [events.Beside(beside, "index.lock")]


def test_a_root_that_cannot_be_read_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(errors.RootError, match="cannot read"):
            polling.Polling(NEVER_S).start(str(tmp_path / name), lambda path: False, support.Recorder())


def test_a_rule_that_raises_is_told_as_a_failure(polled: Polled) -> None:
    def prune(path: str) -> bool:
        raise RuntimeError("broken rule")

    polled.backend.start(str(polled.root), prune, polled.recorder)
    (polled.root / "d").mkdir()
    polled.backend.mark("t")
    polled.recorder.wait_for(lambda event: event == events.Failed("RuntimeError: broken rule"))


def status(ctime_ns: int, size: int = 1) -> os.stat_result:
    fields = [0o100644, 7, 1, 1, 0, 0, size, 0, 0, 0]
    return os.stat_result(fields, {"st_mtime_ns": 5, "st_ctime_ns": ctime_ns})


def test_a_file_that_changed_just_before_the_look_is_told_once_more() -> None:
    racy_ns = 100_000
    young, old = polling.signature(status(racy_ns), racy_ns), polling.signature(status(racy_ns), racy_ns + 1)
    assert polling.changed({"f": young}, {"f": young}) == {"f"}
    assert polling.changed({"f": young}, {"f": old}) == {"f"}
    assert polling.changed({"f": old}, {"f": old}) == set()


def test_a_file_from_the_future_is_not_told_for_ever() -> None:
    racy_ns = 100_000
    ahead = polling.signature(status(racy_ns + 3_600_000_000_000), racy_ns)
    assert polling.changed({"f": ahead}, {"f": ahead}) == set()
