"""Nothing happens: what both sides take of processor and memory; and of memory after a delta of a 5 MiB file."""

from __future__ import annotations

import random
from typing import Final

from tests.bench import floors, lab, procfs
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "idle"
DELTA_BYTES: Final = 5 * 1024 * 1024

# Until recent stamps are proved, the cache is written and the first sweep is through.
_SETTLE_S: Final = 10.0


def run(how: plan.Plan) -> list[Figure]:
    """Measure on the tree of 10,000 files, on a disk."""
    window_s = 5.0 if how.quick else 20.0
    rows: dict[str, list[float]] = {}

    def take(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    with how.on_disk() as place, floors.idle_process() as bare:
        place.project("10k")
        big = place.source / "data.bin"
        content = bytearray(random.Random(2).randbytes(DELTA_BYTES))
        big.write_bytes(content)
        with place.start() as subject:
            subject.in_sync()
            lab.pause(2.0 if how.quick else _SETTLE_S)
            sides = {"watch": subject.pid, "agent": subject.agent}
            for number in range(how.runs):
                before = {side: procfs.usage(pid) for side, pid in sides.items()}
                lab.pause(window_s)
                for side, pid in sides.items():
                    now = procfs.usage(pid)
                    take(f"CPU of {side}", (now.cpu_s - before[side].cpu_s) / window_s * 100)
                    take(f"RSS of {side}", now.rss_mb)
                take("floor", procfs.usage(bare).rss_mb)
                for pid in sides.values():
                    procfs.reset_peak(pid)
                content[1000 + number] ^= 1
                content[-1000 - number] ^= 1
                big.write_bytes(content)
                subject.in_sync()
                for side, pid in sides.items():
                    after = procfs.usage(pid)
                    take(f"RSS of {side} after a 5 MiB delta", after.rss_mb)
                    take(f"peak RSS of {side} in a 5 MiB delta", after.peak_mb)
                lab.pause(1.0 if how.quick else _SETTLE_S)
    return _figures(rows)


_TARGETS: Final = {
    "CPU of watch": 0.5,
    "CPU of agent": 0.5,
    "RSS of watch": 80.0,
    "RSS of watch after a 5 MiB delta": 80.0,
    "peak RSS of watch in a 5 MiB delta": None,
    "RSS of agent": 45.0,
    "RSS of agent after a 5 MiB delta": 45.0,
    "peak RSS of agent in a 5 MiB delta": 45.0,
}


def _figures(rows: dict[str, list[float]]) -> list[Figure]:
    figures = []
    for name, target in _TARGETS.items():
        is_memory = "RSS" in name
        figures.append(
            Figure(
                scenario=NAME,
                name=name,
                unit="MB" if is_memory else "%",
                values=tuple(rows[name]),
                target=target,
                floors=tuple(rows["floor"]) if is_memory else (),
                floor_name="bare Python, websockets imported" if is_memory else "",
            )
        )
    return figures
