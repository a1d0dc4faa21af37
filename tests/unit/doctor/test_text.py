"""The report as people see it."""

from __future__ import annotations

from devloop.doctor import text
from devloop.doctor.report import Level, Line, Report

FOUND = Report(
    (
        Line(group="machine", name="python", level=Level.PASS, text="3.12", details=("hidden",)),
        Line(group="service/web", name="workload", level=Level.PASS, text="deployment/web", details=("web-1: ready",)),
        Line(
            group="service/web",
            name="agent",
            subject="web-1",
            level=Level.FAIL,
            text="does \x1b[2Jnot run",
            fix="run it",
            code="DL0761",
            details=("why",),
        ),
    )
)


def test_groups_marks_fixes_and_the_sum() -> None:
    assert text.render(FOUND).splitlines() == [
        "machine",
        "  ok    python  3.12",
        "",
        "service web",
        "  ok    workload  deployment/web",
        "                  web-1: ready",
        "  FAIL  agent     web-1: does not run",
        "                  fix: run it (devloop explain DL0761)",
        "                  why",
        "",
        "2 passed, 1 failed",
    ]


def test_details_of_what_passed_are_for_the_curious() -> None:
    assert "hidden" not in text.render(FOUND)
    assert "hidden" in text.render(FOUND, verbose=True)


def test_long_texts_are_wrapped_and_commands_are_not_broken() -> None:
    command = "net.key=" + "9" * 60
    line = Line(group="machine", name="a", level=Level.WARN, text="word " * 40, fix=f"sudo sysctl {command}")
    told = text.render(Report((line,)), width=60).splitlines()
    assert any(command in each for each in told)
    assert all(len(each) <= 60 for each in told if command not in each)
    assert all(each.startswith("           ") for each in told[2:-3])


def test_colours_only_where_wanted() -> None:
    assert "\x1b[" not in text.render(FOUND)
    assert "\x1b[31mFAIL\x1b[0m" in text.render(FOUND, color=True)
