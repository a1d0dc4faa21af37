"""Nothing that others print controls the terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devloop.ui import escapes

SGR = re.compile(r"\x1b\[[0-9;:]*m")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("tab\tstays", "tab\tstays"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b[38;5;208mx\x1b[m", "\x1b[38;5;208mx\x1b[m"),
        ("\x1b[38:2::1:2:3mx", "\x1b[38:2::1:2:3mx\x1b[0m"),
        ("\x1b[1munended", "\x1b[1munended\x1b[0m"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b[?1049halternate", "alternate"),
        ("\x1b[?25lhidden", "hidden"),
        ("\x1b[>4;2mkeyboard mode", "keyboard mode"),
        ("\x1b[1;2 qcursor", "cursor"),
        ("\x9b2Jeight bit", "eight bit"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]0;title\x1b\\after", "after"),
        ("\x1b]52;c;c3RvbGVu\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;title\x9cafter", "after"),
        ("\x1b]0;cut off by the end of the line", ""),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1b_application\x1b\\after", "after"),
        ("\x1bcreset", "reset"),
        ("\x1b(0charset", "charset"),
        ("\x1b7saved\x1b8", "saved"),
        ("lone\x1b", "lone"),
        ("csi cut \x1b[12", "csi cut "),
        ("bell\x07 back\x08 nul\x00 del\x7f", "bell back nul del"),
        ("10 %\r50 %\r100 %", "100 %"),
        ("windows\r", "windows"),
        ("windows\r\n", "windows "),
        ("a\nb", "a b"),
        ("line\u2028separator", "lineseparator"),
        ("half \udce9", "half \ufffd"),
        ("漢字 é", "漢字 é"),
    ],
)
def test_colours_stay_and_control_goes(raw: str, shown: str) -> None:
    assert escapes.coloured(raw) == shown
    assert escapes.plain(raw) == SGR.sub("", shown)


PIECES = st.lists(
    st.sampled_from(
        ["\x1b", "[", "]", "m", "0;1", "2J", "\x07", "\\", "\x9b", "\x9d", "P", "a", "\r", "\n", "\x1b[31m"]
    )
    | st.text(max_size=3)
).map("".join)


@given(PIECES)
@example("\x1b\x1b[2J")
@example("\x1b[\x1b[2J2J")
@example("\x1b[3\x001m")
def test_no_control_is_left_whatever_comes(raw: str) -> None:
    coloured = escapes.coloured(raw)
    assert not CONTROL.search(SGR.sub("", coloured))
    assert not CONTROL.search(escapes.plain(raw))
    assert not SGR.search(coloured) or coloured.endswith(("\x1b[0m", "\x1b[m"))
    coloured.encode()


@given(PIECES)
def test_what_was_filtered_once_stays_as_it_is(raw: str) -> None:
    assert escapes.coloured(escapes.coloured(raw)) == escapes.coloured(raw)
    assert escapes.plain(escapes.plain(raw)) == escapes.plain(raw)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("src/app.py", "src/app.py"),
        ("with space é 漢", "with space é 漢"),
        ("caf\udce9", "caf\\xe9"),
        ("a\ndevloop: sync complete in 1 ms", "a\\ndevloop: sync complete in 1 ms"),
        ("\x1b[2J", "\\x1b[2J"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
    ],
)
def test_a_name_is_one_printable_line(path: str, shown: str) -> None:
    assert escapes.name(path) == shown


def test_a_long_hostile_line_costs_no_more_than_its_length() -> None:
    escapes.coloured("\x1b]" * 200_000)
    escapes.coloured("\x1b[" + "1;" * 500_000)
    escapes.plain("\r" * 1_000_000 + "x")
