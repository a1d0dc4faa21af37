"""Whether there are colours, and which."""

from __future__ import annotations

import pytest

from devloop.ui import style
from devloop.ui.style import Tone

XTERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("choice", "terminal", "environ", "wanted"),
    [
        ("auto", True, XTERM, True),
        ("auto", False, XTERM, False),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", True, {}, False),
        ("auto", True, {**XTERM, "NO_COLOR": "1"}, False),
        ("auto", True, {**XTERM, "NO_COLOR": ""}, True),
        ("auto", False, {"FORCE_COLOR": "1"}, True),
        ("auto", False, {"FORCE_COLOR": "0"}, False),
        ("auto", False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", False, {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", True, {**XTERM, "FORCE_COLOR": "1"}, False),
    ],
)
def test_the_command_line_decides_then_the_environment_then_the_terminal(
    choice: str, terminal: bool, environ: dict[str, str], wanted: bool
) -> None:
    assert style.wanted(choice, terminal=terminal, environ=environ) is wanted


def test_a_services_colour_is_the_same_at_every_start() -> None:
    # Values of crc32, which is the same everywhere; str's own hash is not.
    assert [style.service_colour(name) for name in ("web", "api", "db", "caf\udce9")] == [94, 35, 36, 35]
    assert {style.service_colour(f"service-{number}") for number in range(50)} == set(style.SERVICE_COLOUR_NAMES)


def test_colours_are_left_out_where_they_are_not_wanted() -> None:
    assert style.Style(on=False)("x", Tone.BAD) == "x"
    assert style.Style(on=False).service("x", "web") == "x"
    assert style.Style(on=True)("x", Tone.BAD) == "\x1b[31mx\x1b[0m"
    assert style.Style(on=True)("x", Tone.PLAIN) == "x"
    assert style.Style(on=True)("", Tone.BAD) == ""
    assert style.Style(on=True).service("x", "") == "x"
