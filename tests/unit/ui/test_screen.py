"""Lines scroll by, and the panel stays below them."""

from __future__ import annotations

from typing import IO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from devloop.ui import screen
from tests.unit.ui.terminal import Terminal


def on(terminal: Terminal) -> screen.Screen:
    console = Console(
        file=cast(IO[str], terminal),
        force_terminal=True,
        width=terminal.columns,
        height=terminal.rows,
        color_system=None,
    )
    return screen.Screen(console)


def is_cursor_shown(terminal: Terminal) -> bool:
    return terminal.cursor_shown


def texts(*lines: str) -> list[Text]:
    return [Text(line) for line in lines]


def test_the_panel_stays_below_what_happened() -> None:
    terminal = Terminal()
    subject = on(terminal)
    subject.draw(texts("one"), texts("--", "web"))
    subject.draw(texts("two", "three"), texts("--", "api", "web"))
    assert terminal.shown() == ["one", "two", "three", "--", "api", "web"]
    subject.draw([], texts("--"))
    assert terminal.shown() == ["one", "two", "three", "--"]
    assert is_cursor_shown(terminal) is False
    subject.clear()
    assert terminal.shown() == ["one", "two", "three"]
    assert is_cursor_shown(terminal)
    subject.clear()
    assert terminal.shown() == ["one", "two", "three"]


def test_a_panel_higher_than_the_terminal_is_cut() -> None:
    terminal = Terminal(rows=4)
    subject = on(terminal)
    for _ in range(3):
        subject.draw(texts("log"), texts("a", "b", "c", "d", "e"))
    assert terminal.shown() == ["log", "log", "log", "a", "b", "c"]


LOGS = st.lists(st.lists(st.text("abc ", max_size=50).map(str.strip), max_size=3), max_size=6)


@given(LOGS, st.integers(2, 30))
def test_no_line_is_ever_lost_or_shown_twice(logs: list[list[str]], columns: int) -> None:
    terminal = Terminal(columns=columns, rows=12)
    subject = on(terminal)
    for number, log in enumerate(logs):
        subject.draw(texts(*log), texts(*["-" * (columns - 1)] * (number % 4 + 1)))
    subject.clear()
    printed = Terminal(columns=columns, rows=12)
    for log in logs:
        for line in log:
            printed.write(line + "\n")
    assert terminal.shown() == printed.shown()


@pytest.mark.parametrize("columns", [10, 7, 5])
def test_a_panel_that_a_narrower_terminal_broke_is_erased_whole(columns: int) -> None:
    wide = Terminal(columns=20)
    console = Console(file=cast(IO[str], wide), force_terminal=True, width=20, height=24, color_system=None)
    subject = screen.Screen(console)
    subject.draw(texts("log"), texts("=" * 19, "web"))
    narrow = Terminal(columns=columns)
    narrow.write("\n".join(line.rstrip() for line in wide.lines))
    console.file, console.width = cast(IO[str], narrow), columns
    subject.draw(texts("more"), texts("=" * (columns - 1)))
    assert narrow.shown() == ["log", "more", "=" * (columns - 1)]
