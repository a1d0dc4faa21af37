from __future__ import annotations

import json

import pytest

from devloop.cli import options, output


def test_people_read_stderr_as_loud_as_they_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for verbosity in (-1, 0, 1):
        settings = options.Settings(verbosity=verbosity)
        output.human(settings, f"said at {verbosity}")
        output.human(settings, f"more at {verbosity}", verbosity=1)
    assert capsys.readouterr() == ("", "said at 0\nsaid at 1\nmore at 1\n")


@pytest.mark.parametrize(
    ("form", "expected"),
    [("text", "two things\n"), ("name", "a\nb\n"), ("yaml", "things:\n- a\n- ä\n")],
)
def test_results_go_to_stdout_in_the_format_asked_for(
    form: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.result(options.Settings(output=form), {"things": ["a", "ä"]}, text="two things", names=["a", "b"])
    assert capsys.readouterr() == (expected, "")


def test_json_is_read_back_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    output.result(options.Settings(output="json"), {"name": "ä"})
    assert json.loads(capsys.readouterr().out) == {"name": "ä"}


def test_style_is_left_out_where_colours_are_off() -> None:
    assert output.style("x", 1, 31, on=True) == "\033[1;31mx\033[0m"
    assert output.style("x", 1, 31, on=False) == "x"


def test_what_comes_from_elsewhere_cannot_steer_the_terminal() -> None:
    assert output.clean("a\x1b[31m\tb\nc\x9b\r") == "a\\x1b[31m\tb\nc\\x9b\\x0d"
