"""The inotify backend on real folders."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys
import threading
from collections.abc import Iterator

import pytest

from devloop import errors
from devloop.watch import events
from tests.unit.watch import support

if sys.platform != "linux":
    pytest.skip("inotify is Linux's", allow_module_level=True)

from devloop.watch import inotify, inotify_instance
from tests.unit.watch.test_inotify_instance import raw_event


class Watched:
    """A root with a running backend, which prunes folders called node_modules, and more on demand."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.pruned = {"node_modules"}
        self.recorder = support.Recorder()
        self.backend = inotify.Inotify()

    def start(self) -> None:
        self.backend.start(str(self.root), lambda path: path.rpartition("/")[2] in self.pruned, self.recorder)

    def told(self) -> list[events.Event]:
        return self.recorder.sync(self.backend)


@pytest.fixture
def watched(tmp_path: pathlib.Path) -> Iterator[Watched]:
    subject = Watched(tmp_path / "root")
    subject.root.mkdir()
    yield subject
    subject.backend.stop()


def test_ignored_and_reserved_folders_are_not_watched(watched: Watched) -> None:
    for folder in ("src/deep", "node_modules/p/lib", "src/node_modules/q", ".git/objects", ".devloop/x"):
        (watched.root / folder).mkdir(parents=True)
    watched.start()
    assert watched.backend.watch_count == 3
    (watched.root / "node_modules/p/lib/f").write_text("x")
    (watched.root / ".git/HEAD").write_text("x")
    (watched.root / "node_modules/new").mkdir()
    assert watched.told() == []


def test_a_written_file_is_opened_then_dirty(watched: Watched) -> None:
    watched.start()
    with open(watched.root / "f", "w") as file:
        assert support.of(events.Opened, watched.told()) == {"f"}
        file.write("x")
        file.flush()
        assert support.of(events.Opened, watched.told()) == {"f"}
    told = watched.told()
    assert support.of(events.Dirty, told) == {"f"}
    assert not support.of(events.Opened, told)


def test_reading_tells_nothing(watched: Watched) -> None:
    (watched.root / "f").write_text("x")
    watched.start()
    (watched.root / "f").read_text()
    os.listdir(watched.root)
    assert watched.told() == []


def test_a_mode_and_a_link_are_dirty_at_once(watched: Watched) -> None:
    (watched.root / "f").write_text("x")
    watched.start()
    (watched.root / "f").chmod(0o755)
    (watched.root / "link").symlink_to("f")
    os.link(watched.root / "f", watched.root / "hard")
    os.mkfifo(watched.root / "fifo")
    assert support.of(events.Dirty, watched.told()) >= {"f", "link", "hard", "fifo"}


def test_a_mode_set_while_writing_comes_with_the_close(watched: Watched) -> None:
    watched.start()
    with open(watched.root / "f", "w") as file:
        file.write("x")
        file.flush()
        os.fchmod(file.fileno(), 0o755)
        told = watched.told()
    # Whether the kernel's events were read in one go or not, the file is not dirty in the same breath as opened.
    assert not support.of(events.Dirty, told) & support.of(events.Opened, told[-1:])
    assert support.of(events.Dirty, watched.told()) == {"f"}


def test_renames_and_deletions(watched: Watched) -> None:
    for name in "abc":
        (watched.root / name).write_text(name)
    watched.start()
    (watched.root / "a").rename(watched.root / "b")
    (watched.root / "c").unlink()
    told = watched.told()
    assert support.of(events.Vanished, told) == {"a", "c"}
    assert support.of(events.Dirty, told) == {"b"}


def test_a_file_moved_out_holds_nothing_up(watched: Watched, tmp_path: pathlib.Path) -> None:
    (watched.root / "f").write_text("x")
    watched.start()
    (watched.root / "f").rename(tmp_path / "outside")
    (watched.root / "after").write_text("y")
    told = watched.told()
    assert support.of(events.Vanished, told) == {"f"}
    assert support.of(events.Dirty, told) == {"after"}


def test_names_that_are_not_utf_8_keep_their_bytes(watched: Watched) -> None:
    watched.start()
    folder = os.fsencode(watched.root) + b"/caf\xe9"
    os.mkdir(folder)
    watched.told()
    with open(folder + b"/\xff", "w"):
        pass
    assert support.of(events.Dirty, watched.told()) == {"caf\udce9/\udcff"}


def test_new_folders_are_watched_with_all_that_is_in_them(watched: Watched) -> None:
    watched.start()
    (watched.root / "a/b/c").mkdir(parents=True)
    (watched.root / "a/b/c/early").write_text("x")
    told = watched.told()
    assert support.rescans(told)["a"] is events.Reason.NEW_FOLDER
    assert support.covers(told, "a/b/c/early")
    assert watched.backend.watch_count == 4
    (watched.root / "a/b/c/late").write_text("x")
    assert support.of(events.Dirty, watched.told()) == {"a/b/c/late"}


def test_a_new_folder_is_watched_before_it_is_told(watched: Watched) -> None:
    counts: list[int] = []
    recorder = watched.recorder

    def sink(event: events.Event) -> None:
        if isinstance(event, events.Rescan):
            counts.append(watched.backend.watch_count)
        recorder(event)

    watched.backend.start(str(watched.root), lambda path: False, sink)
    (watched.root / "a").mkdir()
    watched.told()
    assert counts == [2]


def test_a_moved_in_tree_is_watched_and_rescanned(watched: Watched, tmp_path: pathlib.Path) -> None:
    (tmp_path / "outside/deep").mkdir(parents=True)
    (tmp_path / "outside/deep/f").write_text("x")
    watched.start()
    (tmp_path / "outside").rename(watched.root / "inside")
    assert support.rescans(watched.told()) == {"inside": events.Reason.MOVED_IN}
    assert watched.backend.watch_count == 3
    (watched.root / "inside/deep/f").write_text("y")
    assert support.of(events.Dirty, watched.told()) == {"inside/deep/f"}


def test_a_folder_moved_out_is_not_watched_any_more(watched: Watched, tmp_path: pathlib.Path) -> None:
    (watched.root / "a/b").mkdir(parents=True)
    watched.start()
    (watched.root / "a").rename(tmp_path / "outside")
    assert support.of(events.Vanished, watched.told()) == {"a"}
    assert watched.backend.watch_count == 1
    (tmp_path / "outside/b/f").write_text("x")
    assert watched.told() == []


def test_a_renamed_folder_is_told_by_its_new_name(watched: Watched) -> None:
    (watched.root / "a/b").mkdir(parents=True)
    watched.start()
    (watched.root / "a").rename(watched.root / "z")
    told = watched.told()
    assert support.of(events.Vanished, told) == {"a"}
    assert support.rescans(told) == {"z": events.Reason.MOVED_IN}
    (watched.root / "z/b/f").write_text("x")
    assert support.of(events.Dirty, watched.told()) == {"z/b/f"}
    assert watched.backend.watch_count == 3


def test_two_folders_that_swap_their_names(watched: Watched) -> None:
    for name in "ab":
        (watched.root / name / name).mkdir(parents=True)
    watched.start()
    (watched.root / "a").rename(watched.root / "t")
    (watched.root / "b").rename(watched.root / "a")
    (watched.root / "t").rename(watched.root / "b")
    assert {"a", "b"} <= support.rescans(watched.told()).keys()
    (watched.root / "a/b/f").write_text("x")
    (watched.root / "b/a/g").write_text("x")
    assert support.of(events.Dirty, watched.told()) == {"a/b/f", "b/a/g"}
    assert watched.backend.watch_count == 5


def test_a_rename_into_an_ignored_name_unwatches_and_back_watches(watched: Watched) -> None:
    (watched.root / "a").mkdir()
    watched.start()
    (watched.root / "a").rename(watched.root / "node_modules")
    assert watched.told() == [events.Vanished(frozenset({"a"}))]
    assert watched.backend.watch_count == 1
    (watched.root / "node_modules").rename(watched.root / "a")
    assert watched.told() == [events.Rescan("a", events.Reason.MOVED_IN)]
    assert watched.backend.watch_count == 2


def test_folders_made_and_removed_in_a_storm_leave_the_watch_alive(watched: Watched) -> None:
    watched.start()
    for _ in range(20):
        for number in range(10):
            (watched.root / f"d{number}/sub").mkdir(parents=True)
            (watched.root / f"d{number}/sub/f").write_text("x")
        for number in range(10):
            shutil.rmtree(watched.root / f"d{number}")
    (watched.root / "d3/sub").mkdir(parents=True)
    assert support.covers(watched.told(), "d3/sub/f")
    assert watched.backend.watch_count == 3
    (watched.root / "d3/sub/g").write_text("x")
    assert support.of(events.Dirty, watched.told()) == {"d3/sub/g"}


def test_a_folder_that_becomes_readable_is_watched(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    (watched.root / "closed").mkdir()
    add_watch = inotify_instance._add_watch

    def refuse(instance: int, path: bytes, mask: int) -> int:
        if path.endswith(b"/closed"):
            raise PermissionError(13, "closed to this user")
        return add_watch(instance, path, mask)

    with monkeypatch.context() as patch:
        patch.setattr(inotify_instance, "_add_watch", refuse)
        watched.start()
    assert watched.backend.watch_count == 1
    (watched.root / "closed").chmod(0o755)
    assert support.covers(watched.told(), "closed/f")
    assert watched.backend.watch_count == 2


def test_changed_rules_watch_and_unwatch(watched: Watched) -> None:
    for folder in ("a/build/x", "a/src", "a/node_modules/p"):
        (watched.root / folder).mkdir(parents=True)
    watched.start()
    assert watched.backend.watch_count == 5
    watched.pruned = {"build"}
    watched.backend.refresh("")
    assert watched.told() == [events.Rescan("a/node_modules", events.Reason.UNPRUNED)]
    assert watched.backend.watch_count == 5
    (watched.root / "a/build/x/f").write_text("x")
    (watched.root / "a/node_modules/p/f").write_text("x")
    assert support.of(events.Dirty, watched.told()) == {"a/node_modules/p/f"}


def test_what_is_beside_the_tree_is_told_by_name(watched: Watched, tmp_path: pathlib.Path) -> None:
    (tmp_path / "git/refs").mkdir(parents=True)
    watched.start()
    beside = str(tmp_path / "git")
    watched.backend.watch_beside(frozenset({beside, "/nonexistent"}))
    assert watched.told() == [events.Beside(beside, "")]
    (tmp_path / "git/index.lock").touch()
    (tmp_path / "git/refs/x").touch()
    assert set(watched.told()) == {events.Beside(beside, "index.lock")}
    watched.backend.watch_beside(frozenset())
    watched.told()
    (tmp_path / "git/index.lock").unlink()
    assert watched.told() == []


def test_marks_leave_nothing_behind(watched: Watched, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    watched.start()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        watched.told()
    assert os.listdir(tmp_path / "tmp") == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_marks_that_overlap_all_come_back_in_order(watched: Watched) -> None:
    watched.start()
    for number in range(100):
        watched.backend.mark(f"{number}")
    watched.told()
    for number in range(3):
        (watched.root / f"f{number}").touch()
        watched.backend.mark(f"{number}")
    told = watched.told()
    marks = [event.token for event in told if isinstance(event, events.Mark)]
    assert marks == ["0", "1", "2"]
    for number in range(3):
        before = told[: told.index(events.Mark(f"{number}"))]
        assert support.of(events.Dirty, before) >= {f"f{each}" for each in range(number + 1)}


def test_a_mark_after_the_end_is_refused(watched: Watched) -> None:
    watched.start()
    watched.backend.stop()
    with pytest.raises(OSError, match="not watching"):
        watched.backend.mark("x")
    watched.backend.refresh("")
    watched.backend.stop()


def test_stopping_gives_back_every_descriptor(watched: Watched) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    watched.start()
    watched.told()
    watched.backend.stop()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_full_queue_of_the_kernel_is_told_and_survived(watched: Watched) -> None:
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        depth = int(file.read())
    if depth > 65_536:
        pytest.skip("the queue takes too long to fill")
    (watched.root / "old").mkdir()
    go_on = threading.Event()

    def sink(event: events.Event) -> None:
        go_on.wait(support.TIMEOUT_S)
        watched.recorder(event)

    watched.backend.start(str(watched.root), lambda path: False, sink)
    (watched.root / "first").touch()
    with open(watched.root / "a", "w", buffering=1) as one, open(watched.root / "b", "w", buffering=1) as two:
        for _ in range(depth // 2 + 4_096):
            one.write("\n")
            two.write("\n")
    shutil.rmtree(watched.root / "old")
    (watched.root / "unseen/deep").mkdir(parents=True)
    go_on.set()
    watched.recorder.wait_for(lambda event: event == events.Rescan("", events.Reason.OVERFLOW))
    watched.told()
    assert watched.backend.watch_count == 3
    (watched.root / "unseen/deep/f").write_text("x")
    assert support.of(events.Dirty, watched.told()) == {"unseen/deep/f"}


def test_an_overflow_releases_the_marks_that_it_may_have_lost(watched: Watched) -> None:
    watched.start()
    assert watched.backend._marks is not None
    watched.backend._marks._under_way.append("lost")  # as if its event had been dropped
    watched.backend._handle(raw_event(-1, inotify_instance.CONSTANTS.IN_Q_OVERFLOW))
    assert watched.recorder.told == [events.Rescan("", events.Reason.OVERFLOW), events.Mark("lost")]
    (watched.root / "f").touch()
    assert support.of(events.Dirty, watched.told()) == {"f"}


@pytest.mark.parametrize("how", ["delete", "rename"])
def test_a_lost_root_is_told_once_and_can_be_watched_again(watched: Watched, how: str) -> None:
    watched.start()
    elsewhere = watched.root.with_name("elsewhere")
    if how == "delete":
        watched.root.rmdir()
    else:
        watched.root.rename(elsewhere)
    [told] = [event for event in watched.told() if isinstance(event, events.RootGone)]
    assert str(watched.root) in told.why
    (watched.root / "sub").mkdir(parents=True)
    watched.backend.rebuild(events.Reason.ROOT_BACK)
    assert watched.told() == [events.Rescan("", events.Reason.ROOT_BACK)]
    (watched.root / "sub/f").write_text("x")
    assert support.of(events.Dirty, watched.told()) == {"sub/f"}


def test_a_root_that_cannot_be_watched_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for name in ("missing", "file", "link"):
        with pytest.raises(errors.RootError, match="cannot watch"):
            inotify.Inotify().start(str(tmp_path / name), lambda path: False, support.Recorder())
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_rule_that_raises_is_told_as_a_failure(watched: Watched) -> None:
    def prune(path: str) -> bool:
        raise RuntimeError("broken rule")

    watched.backend.start(str(watched.root), prune, watched.recorder)
    (watched.root / "a").mkdir()
    watched.recorder.wait_for(lambda event: event == events.Failed("RuntimeError: broken rule"))


LIMITED = """
import json, os, sys
from devloop.watch import events, inotify
from tests.unit.watch import support
root = sys.argv[1]
recorder, subject = support.Recorder(), inotify.Inotify()
subject.start(root, lambda path: path == "pruned", recorder)
limits = [event for event in recorder.told if isinstance(event, events.WatchLimit)]
refused = [event.path for event in recorder.told if isinstance(event, events.Unwatched)]
recorder.told.clear()
os.mkdir(root + "/d00/late")
recorder.wait_for(lambda event: isinstance(event, events.Rescan))
again = [event for event in recorder.told if isinstance(event, events.WatchLimit)]
late = [event.path for event in recorder.told if isinstance(event, events.Unwatched)]
with open(root + "/f", "w"):
    pass
recorder.wait_for(lambda event: isinstance(event, events.Dirty))
subject.stop()
[limit] = limits
print(json.dumps([limit.used, limit.needed, limit.allowed, limit.hint, len(refused), len(again), late]))
"""


def test_the_watch_limit_is_told_once_with_its_numbers_and_the_rest_goes_on(tmp_path: pathlib.Path) -> None:
    for number in range(20):
        (tmp_path / f"d{number:02}/sub").mkdir(parents=True)
    (tmp_path / "pruned/x").mkdir(parents=True)
    used, needed, allowed, hint, refused, again, late = support.in_namespace(
        "echo 11 > /proc/sys/user/max_inotify_watches", LIMITED, str(tmp_path)
    )
    # One of the eleven is for marks.
    assert (used, needed, allowed) == (10, 41, 11)
    assert hint.startswith("sudo sysctl fs.inotify.max_user_watches=524288;")
    # Eleven outer folders beyond the limit, and the inner ones of the nine that are watched.
    assert refused == 20
    assert (again, late) == (0, ["d00/late"])


NO_INSTANCES = """
import json, sys
from devloop.watch import backend, inotify
try:
    inotify.Inotify().start(sys.argv[1], lambda path: False, print)
except backend.UnavailableError as error:
    print(json.dumps([error.message, error.hint, error.report.allowed]))
"""


def test_the_limit_of_instances_makes_the_backend_unavailable(tmp_path: pathlib.Path) -> None:
    message, hint, _ = support.in_namespace(
        "echo 0 > /proc/sys/user/max_inotify_instances", NO_INSTANCES, str(tmp_path)
    )
    assert "limit of inotify instances" in message
    assert "fs.inotify.max_user_instances=" in hint


NO_WATCHES = """
import json, sys
from devloop.watch import backend, inotify
try:
    inotify.Inotify().start(sys.argv[1], lambda path: False, print)
except backend.UnavailableError as error:
    print(json.dumps([error.message, error.hint, error.report.used, error.report.needed]))
"""


def test_no_watch_even_for_the_root_makes_the_backend_unavailable(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    message, hint, used, needed = support.in_namespace(
        "echo 0 > /proc/sys/user/max_inotify_watches", NO_WATCHES, str(tmp_path)
    )
    assert "limit of inotify watches" in message
    assert "fs.inotify.max_user_watches=" in hint
    assert (used, needed) == (0, 3)


def test_a_new_root_beyond_the_limit_is_left_to_polling(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.start()

    def refuse(instance: int, path: bytes, mask: int) -> int:
        raise OSError(28, "no watch left")

    monkeypatch.setattr(inotify_instance, "_add_watch", refuse)
    watched.backend.rebuild(events.Reason.ROOT_BACK)
    unwatched, limit, rescan = watched.told()
    assert unwatched == events.Unwatched("")
    assert isinstance(limit, events.WatchLimit)
    assert rescan == events.Rescan("", events.Reason.ROOT_BACK)


UNMOUNTED = """
import json, subprocess, sys
from devloop.watch import events, inotify
from tests.unit.watch import support
root = sys.argv[1]
recorder, subject = support.Recorder(), inotify.Inotify()
subject.start(root, lambda path: False, recorder)
subprocess.run(["umount", root + "/inner"], check=True)
recorder.wait_for(lambda event: isinstance(event, events.Rescan))
inner = [[event.path, event.reason] for event in recorder.told if isinstance(event, events.Rescan)]
subprocess.run(["umount", root], check=True)
recorder.wait_for(lambda event: isinstance(event, events.RootGone))
[gone] = [event.why for event in recorder.told if isinstance(event, events.RootGone)]
subject.stop()
print(json.dumps([inner, gone]))
"""


def test_unmounts_are_told(tmp_path: pathlib.Path) -> None:
    setup = f"mount -t tmpfs none {tmp_path} && mkdir {tmp_path}/inner && mount -t tmpfs none {tmp_path}/inner"
    inner, gone = support.in_namespace(setup, UNMOUNTED, str(tmp_path), mounts=True)
    assert inner == [["", "unmount"]]
    assert gone == f"{tmp_path} was unmounted"
