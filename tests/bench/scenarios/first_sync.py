"""The first sync of the whole tree into an empty target, both on tmpfs, from the start of the process."""

from __future__ import annotations

from typing import Final

from tests.bench import floors, lab
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "first-sync"


def run(how: plan.Plan) -> list[Figure]:
    """Measure on the tree of 10,000 files."""
    from_spawn, from_running, tar, bare = [], [], [], []
    with how.on_memory() as place:
        place.project("10k")
        for _ in range(how.runs):
            place.forget()
            tar.append(floors.tar_copy(place.source, place.folder / "floor"))
            bare.append(floors.python_copy(place.source, place.folder / "floor"))
            lab.pause(0.5)
            with place.start() as subject:
                running_s = subject.wait(lambda record: record["kind"] == "running")["at_s"]
                done_s = subject.in_sync()["at_s"]
            from_spawn.append(done_s - subject.spawned_s)
            from_running.append(done_s - running_s)
    return [
        _figure("process start -> in sync", from_spawn, 2.0, tar, "tar c | tar x"),
        _figure("imports done -> in sync", from_running, None, bare, "bare Python copy"),
    ]


def _figure(name: str, values: list[float], target: float | None, bare: list[float], what: str) -> Figure:
    return Figure(
        scenario=NAME,
        name=name,
        unit="s",
        values=tuple(values),
        best=True,
        target=target,
        floors=tuple(bare),
        floor_name=what,
    )
