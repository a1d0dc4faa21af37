"""What FSEvents' flags mean; the stream itself needs macOS."""

import sys

import pytest

from devloop.watch import events, fsevents

FILE = 0x0001_0000
FOLDER = fsevents.ITEM_IS_DIR
HERE = frozenset({"src/a.py", "src/new", "src/b.py"})


def translate(*native: tuple[str, int]) -> list[events.Event]:
    return fsevents.translate(
        "/r",
        [(path.encode("utf-8", "surrogateescape"), flags) for path, flags in native],
        lambda path: path.rpartition("/")[2] == "node_modules",
        HERE.__contains__,
    )


@pytest.mark.parametrize(
    ("path", "flags", "expected"),
    [
        ("/r/src/a.py", fsevents.ITEM_MODIFIED | FILE, events.Dirty(frozenset({"src/a.py"}))),
        ("/r/src/a.py", fsevents.ITEM_REMOVED | fsevents.ITEM_CREATED | FILE, events.Dirty(frozenset({"src/a.py"}))),
        ("/r/src/x.py", fsevents.ITEM_REMOVED | fsevents.ITEM_CREATED | FILE, events.Vanished(frozenset({"src/x.py"}))),
        ("/r/src/x.py", fsevents.ITEM_RENAMED | FILE, events.Vanished(frozenset({"src/x.py"}))),
        ("/r/src/b.py", fsevents.ITEM_RENAMED | FILE, events.Dirty(frozenset({"src/b.py"}))),
        ("/r/src/new", fsevents.ITEM_CREATED | FOLDER, events.Rescan("src/new", events.Reason.NEW_FOLDER)),
        ("/r/src/new", fsevents.ITEM_RENAMED | FOLDER, events.Rescan("src/new", events.Reason.MOVED_IN)),
        ("/r/src/new/", fsevents.ITEM_CREATED | FOLDER, events.Rescan("src/new", events.Reason.NEW_FOLDER)),
        ("/r/src", fsevents.MUST_SCAN_SUB_DIRS, events.Rescan("src", events.Reason.OVERFLOW)),
        ("/r", fsevents.MUST_SCAN_SUB_DIRS | fsevents.KERNEL_DROPPED, events.Rescan("", events.Reason.OVERFLOW)),
        ("/r/a\udcff", fsevents.ITEM_REMOVED, events.Vanished(frozenset({"a\udcff"}))),
        ("/r/.devloop/cookie-t1", fsevents.ITEM_CREATED | fsevents.ITEM_REMOVED, events.Mark("t1")),
    ],
)
def test_one_event(path: str, flags: int, expected: events.Event) -> None:
    assert translate((path, flags)) == [expected]


@pytest.mark.parametrize(
    "path", ["/r/node_modules/x", "/r/src/node_modules/p/x", "/r/.git/index", "/r/src/.devloop/x", "/r"]
)
def test_what_is_left_out(path: str) -> None:
    assert translate((path, fsevents.ITEM_MODIFIED | FILE)) == []


def test_a_pruned_folder_itself_is_left_out_but_a_file_of_that_name_is_not() -> None:
    assert translate(("/r/node_modules", fsevents.ITEM_CREATED | FOLDER)) == []
    assert translate(("/r/node_modules", fsevents.ITEM_MODIFIED | FILE)) == [events.Dirty(frozenset({"node_modules"}))]


def test_a_changed_root_is_all_that_is_told() -> None:
    [told] = translate(("/r/src/a.py", fsevents.ITEM_MODIFIED), ("/r", fsevents.ROOT_CHANGED))
    assert isinstance(told, events.RootGone)


def test_a_mark_comes_after_everything_else() -> None:
    told = translate(("/r/.devloop/cookie-t1", fsevents.ITEM_CREATED), ("/r/src/a.py", fsevents.ITEM_MODIFIED))
    assert told == [events.Dirty(frozenset({"src/a.py"})), events.Mark("t1")]


def test_linux_never_loads_the_native_module() -> None:
    assert "watchdog.observers.fsevents" not in sys.modules
