"""A small file is saved: how long until the agent has acked it. And the same on larger and larger trees."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from tests.bench import floors, lab, stats
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "save"
EDITS: Final = 200


def run(how: plan.Plan) -> list[Figure]:
    """Measure on the tree of 10,000 files, on a disk."""
    with how.on_disk() as place:
        place.project("10k")
        edited = place.source / "django" / plan.EDITED
        edited.write_text("")
        with place.start() as subject, floors.pair(place.folder / "floor") as pair:
            subject.in_sync()
            lab.pause(3.0)
            measured = [_round(subject, pair, edited, how) for _ in range(how.runs)]
            outside = [_from_outside(place, edited, number) for number in range(10 if how.quick else 50)]
    return [
        *_figures(NAME, measured),
        Figure(scenario=NAME, name="seen in the target p50 (from outside)", unit="ms", values=(stats.median(outside),)),
    ]


def _round(subject: lab.Subject, pair: floors.Pair, edited: Path, how: plan.Plan) -> tuple[list[float], list[float]]:
    """Measure a row of edits, with a row of the floor's before it."""
    count = 20 if how.quick else EDITS // how.runs
    bare = []
    for number in range(count):
        lab.pause(0.1)
        bare.append(pair.save(number))
    return subject.edits(edited, count), bare


def _figures(scenario: str, measured: list[tuple[list[float], list[float]]]) -> list[Figure]:
    figures = []
    for percent, target in ((50, 5.0), (95, 15.0)):
        figures.append(
            Figure(
                scenario=scenario,
                name=f"saved -> acked p{percent}",
                unit="ms",
                values=tuple(stats.percentile(edits, percent) for edits, _ in measured),
                target=target,
                floors=tuple(stats.percentile(bare, percent) for _, bare in measured),
                floor_name="bare pair",
            )
        )
    return figures


def _from_outside(place: lab.Lab, edited: Path, number: int) -> float:
    """Save the file from this process, and look for it in the target."""
    lab.pause(0.1)
    seen = place.placed / edited.relative_to(place.source)
    before = seen.stat().st_ino
    with open(edited, "w", encoding="utf-8") as file:
        file.write(f"FROM_OUTSIDE = {number}\n")
        began_s = time.monotonic()
    while seen.stat().st_ino == before:
        lab.pause(0.0002)
        if time.monotonic() - began_s > lab.PATIENCE_S:
            raise SystemExit("a saved file never came")
    return (time.monotonic() - began_s) * 1000
