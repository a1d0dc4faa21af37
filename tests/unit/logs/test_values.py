"""What the parts hand to each other."""

from __future__ import annotations

from devloop.logs import values


def test_two_pods_of_one_name_are_two_origins() -> None:
    first = values.Origin("web", "web-0", "a", "app")
    assert first == values.Origin("web", "web-0", "a", "app") != values.Origin("web", "web-0", "b", "app")
    assert len({first, values.Origin("web", "web-0", "b", "app")}) == 2


def test_nothing_asked_is_all_of_the_current_run() -> None:
    assert values.Start() == values.Start("", None)
