"""1,000 files are rewritten at once, as by a formatter: how long until all of them are in the target."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench import floors, lab
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "thousand"
FILES: Final = 1000


def run(how: plan.Plan) -> list[Figure]:
    """Measure on the tree of 10,000 files, on a disk."""
    from_first, from_last, bare = [], [], []
    with how.on_disk() as place:
        found = [path for path in place.project("10k") if path.suffix == ".py" and path.stat().st_size < 100_000]
        # Always the same ones; this is no secret.
        chosen = random.Random(1).sample(found, FILES)
        with place.start() as subject, floors.pair(place.folder / "floor") as pair:
            subject.in_sync()
            for number in range(how.runs):
                lab.pause(3.0)
                first_s, last_s = _rewrite(chosen, number)
                done_s = _all_there(place, subject, chosen, last_s)
                from_first.append(done_s - first_s)
                from_last.append(done_s - last_s)
                lab.pause(1.0)
                bare.append(last_s - first_s + pair.ship(chosen))
    return [
        _figure("first write -> all acked", from_first, bare, 0.35),
        _figure("last write -> all acked", from_last, [], None),
    ]


def _figure(name: str, values: Sequence[float], bare: Sequence[float], target: float | None) -> Figure:
    return Figure(
        scenario=NAME,
        name=name,
        unit="s",
        values=tuple(values),
        target=target,
        floors=tuple(bare),
        floor_name="bare pair" if bare else "",
    )


def _rewrite(chosen: Sequence[Path], number: int) -> tuple[float, float]:
    """Rewrite all of them, and return when that began and ended."""
    contents = [path.read_bytes() + b"# rewritten %d\n" % number for path in chosen]
    first_s = time.monotonic()
    for path, content in zip(chosen, contents, strict=True):
        with open(path, "wb") as file:
            file.write(content)
    return first_s, time.monotonic()


def _all_there(place: lab.Lab, subject: lab.Subject, chosen: Sequence[Path], after_s: float) -> float:
    """Return when the ack came with which every file was in the target, proved by their content."""
    while True:
        at_s = float(subject.in_sync()["at_s"])
        if at_s > after_s and all(
            path.read_bytes() == (place.placed / path.relative_to(place.source)).read_bytes() for path in chosen
        ):
            return at_s
