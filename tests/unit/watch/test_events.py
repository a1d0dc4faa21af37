"""How much an event holds."""

import pytest

from devloop.watch import events


@pytest.mark.parametrize(
    ("event", "count"),
    [
        (events.Dirty(frozenset({"a", "b"})), 2),
        (events.Opened(frozenset({"a"})), 1),
        (events.Vanished(frozenset()), 0),
        (events.Rescan("a", events.Reason.OVERFLOW), 1),
        (events.Beside("/x/.git", "HEAD"), 1),
        (events.RootBack(), 1),
    ],
)
def test_paths_are_counted(event: events.Event, count: int) -> None:
    assert events.path_count(event) == count
