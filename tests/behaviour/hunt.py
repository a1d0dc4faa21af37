"""Runs the chaos without hypothesis, for long: `python -m tests.behaviour.hunt SEED RUNS [STEPS]`.

A failure is told with its steps, its folder is kept, and the hunt goes on.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from tests.behaviour import chaos


def one(seed: int, steps: int, totals: Counter[str]) -> bool:
    """Run once; say whether all was well."""
    rng = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix=f"dlh{seed}-"))
    life = chaos.Chaos(folder, random.Random(0))
    try:
        life.begin()
        for _ in range(steps):
            kind = rng.choices(("edit", "git", "luck", "check"), (50, 12, 22, 16))[0]
            if kind == "check":
                life.check()
            else:
                names = {"edit": chaos.EDITS, "git": chaos.GIT, "luck": chaos.LUCK}[kind]
                life.act(rng.choice(names), rng.randrange(2**32))
        life.end()
        shutil.rmtree(folder, ignore_errors=True)
        _say(f"seed {seed}: {sum(life.done.values())} acts, {life.checks} checks")
        return True
    except Exception:  # the hunt's one place: a failure is told, and the next run follows
        _say(f"==== seed {seed} failed in {folder}\n{traceback.format_exc(limit=-3)[-6000:]}")
        _say("steps: " + "; ".join(life.trace[-60:]))
        return False
    finally:
        life.abandon()
        totals.update(life.done)
        totals["checks"] += life.checks
        totals["reads"] += life.reader.reads


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    first, runs = int(sys.argv[1]), int(sys.argv[2])
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    totals: Counter[str] = Counter()
    good = [one(seed, steps, totals) for seed in range(first, first + runs)]
    acts = sum(count for name, count in totals.items() if name not in {"checks", "reads"})
    _say(f"{sum(good)} of {len(good)} runs were well; {acts} acts, {totals['checks']} checks, {totals['reads']} reads")
    _say(", ".join(f"{name} {count}" for name, count in totals.most_common()))


if __name__ == "__main__":
    main()
