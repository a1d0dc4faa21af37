"""What a report says as a whole: its exit status, its counts, its JSON."""

from __future__ import annotations

import json

import pytest

from devloop import errors
from devloop.doctor import report
from devloop.doctor.report import Level, Line, Report


def line(level: Level, status: errors.Exit = errors.Exit.ERROR) -> Line:
    return Line(group="machine", name="a", level=level, text="found", fix="mend it", status=status)


@pytest.mark.parametrize(
    ("levels", "status"),
    [
        ([], 0),
        ([(Level.PASS, 1), (Level.WARN, 1), (Level.UNKNOWN, 5)], 0),
        ([(Level.WARN, 1), (Level.FAIL, 1)], 1),
        ([(Level.FAIL, 5), (Level.FAIL, 4)], 5),
        ([(Level.FAIL, 4), (Level.FAIL, 1)], 4),
        ([(Level.FAIL, 2), (Level.FAIL, 4)], 1),
    ],
)
def test_the_first_failure_decides_the_exit_status(levels: list[tuple[Level, int]], status: int) -> None:
    found = Report(tuple(line(level, errors.Exit(each)) for level, each in levels))
    assert found.exit_status == status


def test_an_error_becomes_a_failure_with_its_hint_code_and_exit_status() -> None:
    made = report.of_error("cluster", "API server", errors.UnreachableError("no answer", hint="check the VPN"), "x")
    assert (made.level, made.text, made.fix, made.code, made.status, made.subject) == (
        Level.FAIL,
        "no answer",
        "check the VPN",
        "DL0740",
        errors.Exit.UNREACHABLE,
        "x",
    )


def test_the_document_is_json_with_a_version() -> None:
    verdict = report.Verdict(report.Rung.PATCH, report.Usable.NO, "why")
    found = Report((line(Level.PASS), line(Level.FAIL, errors.Exit.AUTH)), {"web": (verdict,)})
    told = json.loads(json.dumps(report.document(found)))
    assert (told["version"], told["exit"]) == (1, 4)
    assert told["counts"] == {"pass": 1, "warn": 0, "fail": 1, "unknown": 0}
    assert told["rungs"] == {"web": [{"rung": "patch", "usable": "no", "reason": "why"}]}
    assert told["checks"][1]["level"] == "fail" and "status" not in told["checks"][1]
