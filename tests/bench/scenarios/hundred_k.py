"""100,000 files: a start with nothing changed, and what it takes of memory."""

from __future__ import annotations

from typing import Final

from tests.bench import floors, lab, procfs
from tests.bench.report import Figure
from tests.bench.scenarios import plan, warm_start

NAME: Final = "hundred-k"


def run(how: plan.Plan) -> list[Figure]:
    """Measure on tmpfs."""
    took, bare, laptop, agent, peak = [], [], [], [], []
    with how.on_memory() as place:
        place.project("100k")
        warm_start.warm_up(place)
        for _ in range(how.runs):
            bare.append(floors.walk(place.source, place.target))
            with place.start() as subject:
                took.append(subject.in_sync()["at_s"] - subject.spawned_s)
                lab.pause(5.0)
                mine, theirs = procfs.usage(subject.pid), procfs.usage(subject.agent)
                laptop.append(mine.rss_mb)
                peak.append(mine.peak_mb)
                agent.append(theirs.rss_mb)
    return [
        Figure(
            scenario=NAME,
            name="process start -> in sync",
            unit="s",
            values=tuple(took),
            target=4.0,
            floors=tuple(bare),
            floor_name="bare Python, stat of both trees",
        ),
        Figure(scenario=NAME, name="RSS of watch", unit="MB", values=tuple(laptop), target=250.0),
        Figure(scenario=NAME, name="peak RSS of watch", unit="MB", values=tuple(peak)),
        Figure(scenario=NAME, name="RSS of the agent", unit="MB", values=tuple(agent), target=250.0),
    ]
