from __future__ import annotations

import json

from tests.bench import report


def figure(**changes: object) -> report.Figure:
    given: dict[str, object] = {
        "scenario": "save", "name": "p50", "unit": "ms", "values": (4.0, 6.0, 5.0),
        "target": 5.0, "floors": (1.0, 2.0, 3.0), "floor_name": "bare pair",
    }  # fmt: skip
    return report.Figure(**{**given, **changes})  # type: ignore[arg-type]


def test_a_figure_is_the_median_of_its_runs_beside_the_floors_median() -> None:
    assert (figure().value, figure().floor, figure().ratio) == (5.0, 2.0, 2.5)


def test_a_best_figure_is_the_least_of_its_runs_beside_the_least_floor() -> None:
    assert (figure(best=True).value, figure(best=True).floor) == (4.0, 1.0)


def test_a_target_is_met_up_to_and_with_itself() -> None:
    assert figure(target=5.0).is_met is True
    assert figure(target=4.99).is_met is False
    assert figure(target=None).is_met is None


def test_without_a_floor_there_is_no_ratio() -> None:
    assert figure(floors=()).ratio is None
    assert figure(floors=(0.0,)).ratio is None


def test_json_has_every_run_and_the_verdict() -> None:
    told = json.loads(report.to_json(figure()))
    assert told["runs"] == [4.0, 6.0, 5.0]
    assert told["floor_runs"] == [1.0, 2.0, 3.0]
    assert (told["value"], told["target"], told["ratio"], told["met"]) == (5.0, 5.0, 2.5, True)
    assert told["reduced_by"] == "median"


def test_the_table_lines_up_and_marks_misses() -> None:
    lines = report.table(
        [figure(), figure(name="a longer name", target=1.0), figure(target=None, floors=())]
    ).splitlines()
    assert len(lines) == 4
    column = lines[0].index("value") + len("value")
    assert all(line[:column].endswith(("value", "ms")) for line in lines)
    assert lines[1].endswith("pass")
    assert lines[2].endswith("MISS")
    assert "<= 5 ms" in lines[1]
    assert "2.00 ms (bare pair)" in lines[1]
