"""A start with nothing changed: how long until it is in sync, and what goes over the wire for it."""

from __future__ import annotations

from typing import Final

from tests.bench import floors, lab
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "warm-start"


def run(how: plan.Plan) -> list[Figure]:
    """Measure on the tree of 10,000 files, on a disk."""
    took, imports, wire, bare = [], [], [], []
    with how.on_disk() as place:
        place.project("10k")
        warm_up(place)
        for _ in range(how.runs):
            bare.append(floors.walk(place.source, place.target))
            lab.pause(0.5)
            with place.start() as subject:
                running_s = subject.wait(lambda record: record["kind"] == "running")["at_s"]
                took.append(subject.in_sync()["at_s"] - subject.spawned_s)
                imports.append(running_s - subject.spawned_s)
                wire.append(subject.wire_bytes() / 1000)
    return [
        Figure(
            scenario=NAME,
            name="process start -> in sync",
            unit="s",
            values=tuple(took),
            target=0.8,
            floors=tuple(bare),
            floor_name="bare Python, stat of both trees",
        ),
        Figure(scenario=NAME, name="of it: until imports are done", unit="s", values=tuple(imports)),
        Figure(scenario=NAME, name="over the wire, both ways", unit="kB", values=tuple(wire), target=64.0),
    ]


def warm_up(place: lab.Lab) -> None:
    """Start once to sync, and once more so that everything is cached that is going to be."""
    for _ in range(2):
        with place.start() as subject:
            subject.in_sync()
            # Stamps of files that were just written prove nothing for a while, and are not cached before.
            lab.pause(4.0)
