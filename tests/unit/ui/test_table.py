from __future__ import annotations

from devloop.ui import style, table
from devloop.ui.style import Tone

PLAIN = style.Style(on=False)


def rows(*some: tuple[str, ...]) -> list[list[table.Cell]]:
    return [[table.Cell(text) for text in row] for row in some]


def test_columns_are_as_wide_as_they_need_to_be() -> None:
    lines = table.render(("A", "BB"), rows(("one", "x"), ("two", "longer")), PLAIN)
    assert lines == ["A    BB", "one  x", "two  longer"]


def test_a_narrow_terminal_cuts_the_elastic_column_only() -> None:
    lines = table.render(("A", "B"), rows(("one", "a long explanation")), PLAIN, width=16, elastic=1)
    assert lines == ["A    B", "one  a long exp…"]
    assert max(map(len, lines)) <= 16


def test_it_never_becomes_nothing() -> None:
    lines = table.render(("A", "B"), rows(("x" * 30, "a long explanation")), PLAIN, width=10, elastic=1)
    assert lines[1] == "x" * 30 + "  a long …"


def test_colours_do_not_move_columns() -> None:
    painted = table.render(("A", "B"), [[table.Cell("x", Tone.BAD), table.Cell("y")]], style.Style(on=True))
    assert painted[1] == "\x1b[31mx\x1b[0m  y"


def test_wide_characters_take_two_columns() -> None:
    assert table.columns("日本e\u0301") == 5
    assert table.cut("日本語", 5) == "日本…"
    assert table.padded("日", 4) == "日  "


def test_no_rows_are_a_head() -> None:
    assert table.render(("A", "B"), [], PLAIN) == ["A  B"]
