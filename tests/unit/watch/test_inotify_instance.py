"""watchdog's lowest layer, as far as it is relied on, and the marks."""

from __future__ import annotations

import inspect
import os
import pathlib
import stat
import sys
import threading

import pytest

from tests.unit.watch import support

if sys.platform != "linux":
    pytest.skip("inotify is Linux's", allow_module_level=True)

import watchdog.version
from watchdog.observers import inotify_c

from devloop.watch import inotify_instance


def raw_event(wd: int, mask: int) -> bytes:
    return b"".join(
        number.to_bytes(4, sys.byteorder, signed=signed)
        for number, signed in ((wd, True), (mask, False), (0, False), (0, False))
    )


def refused(why: str) -> None:
    raise AssertionError(why)


def test_the_instance_is_not_inherited() -> None:
    subject = inotify_instance.Instance(lambda raw: None, refused)
    assert not os.get_inheritable(subject._inotify_fd)
    subject.end()


def test_commands_run_in_the_thread_and_before_the_events_that_come_after_them(tmp_path: pathlib.Path) -> None:
    order: list[str] = []
    done = threading.Event()

    def handle(raw: bytes) -> None:
        for _, _, _, name in inotify_instance.parse(raw):
            order.append(name.decode())
            done.set()

    subject = inotify_instance.Instance(handle, refused)
    subject.watch(os.fsencode(tmp_path), inotify_instance.CONSTANTS.IN_CREATE)
    subject.call(lambda: order.append(threading.current_thread().name))
    os.mkdir(tmp_path / "later")
    subject.start()
    assert done.wait(support.TIMEOUT_S)
    subject.end()
    assert order == ["devloop-inotify", "later"]


def test_an_instance_ends_whether_it_ran_or_not() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for started in (True, False):
        subject = inotify_instance.Instance(lambda raw: None, refused)
        if started:
            subject.start()
        subject.end()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_marks_cannot_be_had_without_a_temporary_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    subject = inotify_instance.Instance(lambda raw: None, refused)
    assert inotify_instance.Marks.make(subject) is None
    subject.end()


def test_a_mark_asked_for_while_one_is_under_way_waits_for_a_write_of_its_own() -> None:
    subject = inotify_instance.Instance(lambda raw: None, refused)
    marks = inotify_instance.Marks.make(subject)
    assert marks is not None
    for token in "abc":
        marks.send(token)
    assert [marks.came(), marks.came(), marks.came()] == [["a"], ["b", "c"], []]
    marks.close()
    subject.end()


def test_marks_that_start_anew_do_not_hear_their_late_events() -> None:
    subject = inotify_instance.Instance(lambda raw: None, refused)
    marks = inotify_instance.Marks.make(subject)
    assert marks is not None
    old = marks.wd
    for token in "ab":
        marks.send(token)
    assert marks.restart(subject) == ["a", "b"]
    assert marks.wd not in {old, -1}
    marks.send("c")
    heard = {wd for wd, mask, _, _ in inotify_instance.parse(os.read(subject._inotify_fd, 4_096)) if mask & 2}
    assert heard == {old, marks.wd}
    assert marks.came() == ["c"]
    marks.close()
    subject.end()


def test_the_members_of_watchdog_that_the_backend_relies_on() -> None:
    """Fails when watchdog changes below us; read `inotify_instance` again before the pin is moved."""
    assert watchdog.version.VERSION_MAJOR == 7
    assert watchdog.version.VERSION_MINOR == 1
    reader = inotify_c.InotifyFD()
    try:
        assert reader._closed is False
        assert isinstance(reader._is_reading, bool)
        assert not os.get_inheritable(reader._kill_r)
        assert stat.S_ISFIFO(os.fstat(reader._kill_w).st_mode)
        assert isinstance(reader._inotify_fd, int)
        assert isinstance(reader._stopped_event, threading.Event)
        assert reader._watch_for_wd == {}
        assert reader.daemon
        # A byte in the pipe ends the wait and returns nothing, and is not taken out.
        os.write(reader._kill_w, b"!")
        assert reader._read_event_buffer(1_000) == b""
        assert os.read(reader._kill_r, 10) == b"!"
        assert reader._is_reading is False
    finally:
        reader.close()
    # Closed, and not while a thread reads: everything was given back at once.
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader._kill_r)
    assert list(inspect.signature(inotify_c.InotifyFD._parse_event_buffer).parameters) == ["event_buffer"]
    assert list(inotify_c.InotifyFD._parse_event_buffer(raw_event(7, 2))) == [(7, 2, 0, b"")]
    assert "should_keep_running" in dir(reader)
    assert inotify_c.inotify_add_watch(-1, b"/", 0) == -1
