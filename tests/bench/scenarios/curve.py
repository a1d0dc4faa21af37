"""The cost of one edit on trees of 1,000, 10,000 and 100,000 files: it must not grow with the tree."""

from __future__ import annotations

from typing import Final

from tests.bench import lab, stats
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "curve"


def run(how: plan.Plan) -> list[Figure]:
    """Measure on all three, on tmpfs."""
    rows = {tree: _edits(how, tree) for tree in ("1k", "10k", "100k")}
    floor = rows["1k"]
    return [
        Figure(
            scenario=NAME,
            name=f"saved -> acked p50, {tree} files",
            unit="ms",
            values=values,
            target=5.0,
            floors=floor,
            floor_name="1k files",
        )
        for tree, values in rows.items()
    ]


def _edits(how: plan.Plan, tree: str) -> tuple[float, ...]:
    with how.on_memory() as place:
        files = place.project(tree)
        edited = files[len(files) // 2].parent / plan.EDITED
        edited.write_text("")
        with place.start() as subject:
            subject.in_sync()
            lab.pause(3.0)
            count = 20 if how.quick else 50
            return tuple(stats.median(subject.edits(edited, count)) for _ in range(how.runs))
