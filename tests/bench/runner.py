"""`scripts/bench`: runs scenarios, and reports."""

from __future__ import annotations

import argparse
import compileall
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.bench import corpus, lab, report
from tests.bench.scenarios import (
    big_file,
    curve,
    delta,
    first_sync,
    forwards,
    hundred_k,
    idle,
    in_cluster,
    plan,
    save,
    thousand,
    tunnel,
    warm_start,
)

Scenario = Callable[[plan.Plan], list[report.Figure]]

SCENARIOS: Final[Mapping[str, Scenario]] = {
    each.NAME: each.run
    for each in (save, thousand, first_sync, warm_start, big_file, delta, hundred_k, curve, idle, tunnel)
}

# Only by name: they need a cluster, and start one.
ON_DEMAND: Final[Mapping[str, Scenario]] = {each.NAME: each.run for each in (in_cluster, forwards)}
KNOWN: Final[Mapping[str, Scenario]] = {**SCENARIOS, **ON_DEMAND}

# More than this beside us, and figures say more about the others than about devloop.
_BUSY_LOAD: Final = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    told = _parser().parse_args(arguments)
    unknown = [name for name in told.scenarios if name not in KNOWN]
    if unknown:
        sys.stderr.write(f"error: no scenario {unknown[0]!r}; there are {', '.join(KNOWN)}\n")
        return 2
    how = _plan(told)
    _warn_of_load()
    _compile()
    figures: list[report.Figure] = []
    for name in told.scenarios or SCENARIOS:
        began_s = time.monotonic()
        found = KNOWN[name](how)
        figures += found
        sys.stderr.write(f"{name}: measured in {time.monotonic() - began_s:.0f} s, load {os.getloadavg()[0]:.1f}\n")
        _write_json(told.json, found)
    sys.stdout.write(report.table(figures))
    missed = [figure for figure in figures if figure.is_met is False]
    return 1 if missed and told.strict else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure devloop on this machine.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(KNOWN))
    parser.add_argument("--runs", type=int, default=5, help="how often each figure is taken (default: 5)")
    parser.add_argument("--json", metavar="FILE", help="also append each figure to a file, one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="less of everything, to see that it works")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 where a target is missed")
    return parser


def _plan(told: argparse.Namespace) -> plan.Plan:
    cache = lab.REPOSITORY / ".cache" / "bench"
    disk = cache / "work"
    disk.mkdir(parents=True, exist_ok=True)
    memory = Path("/dev/shm")
    if not memory.is_dir():
        sys.stderr.write("warning: no /dev/shm here; what should be measured in memory is measured on a disk\n")
        memory = disk
    runs = min(told.runs, 2) if told.quick else told.runs
    return plan.Plan(trees=corpus.Corpus(cache), memory=memory, disk=disk, runs=max(1, runs), quick=told.quick)


def _warn_of_load() -> None:
    load = os.getloadavg()[0]
    if load > _BUSY_LOAD:
        sys.stderr.write(f"warning: the load is {load:.1f} before anything is measured; figures will be worse\n")


def _compile() -> None:
    """Make byte code beforehand: the first start of a fresh checkout is another figure."""
    for package in ("devloop", "agent", "tests/bench"):
        compileall.compile_dir(lab.REPOSITORY / package, quiet=2)


def _write_json(path: str | None, figures: Sequence[report.Figure]) -> None:
    if path is not None:
        with open(path, "ab") as file:
            file.writelines(report.to_json(figure) + b"\n" for figure in figures)


if __name__ == "__main__":
    sys.exit(main())
