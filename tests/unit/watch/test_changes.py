"""What the events of one read say in the end."""

import os
import pathlib
import sys

import pytest

from devloop.watch import events

if sys.platform != "linux":
    pytest.skip("inotify is Linux's", allow_module_level=True)

from devloop.watch import changes
from devloop.watch.inotify_instance import CONSTANTS as C

HERE, LINK, HARD, NOWHERE = "file", "link", "hard", "missing"


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([C.IN_MODIFY], events.Opened),
        ([C.IN_MODIFY, C.IN_CLOSE_WRITE], events.Dirty),
        ([C.IN_CLOSE_WRITE, C.IN_MODIFY], events.Dirty),
        ([C.IN_ATTRIB], events.Dirty),
        ([C.IN_MODIFY, C.IN_ATTRIB], events.Opened),
        ([C.IN_DELETE], events.Vanished),
        ([C.IN_MOVED_FROM, C.IN_MOVED_TO], events.Dirty),
        ([C.IN_CLOSE_WRITE, C.IN_MOVED_FROM], events.Vanished),
        ([C.IN_DELETE, C.IN_CREATE], events.Opened),
        ([C.IN_DELETE, C.IN_CREATE, C.IN_MODIFY, C.IN_CLOSE_WRITE], events.Dirty),
    ],
)
def test_the_last_word_counts(tmp_path: pathlib.Path, masks: list[int], expected: type) -> None:
    (tmp_path / HERE).touch()
    subject = changes.Changes(str(tmp_path))
    for mask in masks:
        subject.on_file(HERE, mask)
    told: list[events.Event] = []
    subject.tell(told.append)
    assert told == [expected(frozenset({HERE}))]
    subject.tell(told.append)
    assert len(told) == 1


def test_what_a_new_name_is_decides_whether_a_close_follows(tmp_path: pathlib.Path) -> None:
    (tmp_path / "one").touch()
    os.link(tmp_path / "one", tmp_path / HARD)
    (tmp_path / LINK).symlink_to("one")
    (tmp_path / HERE).touch()
    subject = changes.Changes(str(tmp_path))
    for name in (HERE, LINK, HARD, NOWHERE):
        subject.on_file(name, C.IN_CREATE)
    told: list[events.Event] = []
    subject.tell(told.append)
    assert told == [
        events.Vanished(frozenset({NOWHERE})),
        events.Opened(frozenset({HERE})),
        events.Dirty(frozenset({LINK, HARD})),
    ]
