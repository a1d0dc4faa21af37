"""Random edits, git operations and accidents on a real project with a real watching process; then the judgement.

`DEVLOOP_CHAOS_STEPS` (in total), `DEVLOOP_CHAOS_SEED` and `DEVLOOP_CHAOS_REPORT` (a file that counts what was done)
make a longer run of it; see CONTRIBUTING.md.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.behaviour import chaos

STEPS = int(os.environ.get("DEVLOOP_CHAOS_STEPS", "420"))
SEED = int(os.environ.get("DEVLOOP_CHAOS_SEED", "1"))
REPORT = os.environ.get("DEVLOOP_CHAOS_REPORT", "")
STEPS_PER_RUN = 60

CHECK = "check"
ACTS = (*chaos.EDITS, *chaos.EDITS, *chaos.GIT, *chaos.LUCK, *[CHECK] * 12)
SEEDS = st.integers(0, 2**32 - 1)

_totals: Counter[str] = Counter()


class Machine(RuleBasedStateMachine):
    """One project's life."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="dlc"))
        self.chaos = chaos.Chaos(self.folder, random.Random(0))
        self.failed = True

    @initialize()
    def begin(self) -> None:
        self.failed = False
        self.chaos.begin()

    # One rule for all: hypothesis leaves out rules at random, and whole kinds of acts would never meet.
    @rule(name=st.sampled_from(ACTS), seed=SEEDS)
    def act(self, name: str, seed: int) -> None:
        if name == CHECK:
            self._guarded(self.chaos.check)
        else:
            self._guarded(lambda: self.chaos.act(name, seed))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.failed = True
            error.add_note("steps:\n" + "\n".join(self.chaos.trace) + f"\nin {self.folder}")
            raise

    def teardown(self) -> None:
        try:
            if not self.failed:
                self._guarded(self.chaos.end)
        finally:
            _totals.update(self.chaos.done)
            _totals["checks"] += self.chaos.checks
            _totals["reads"] += self.chaos.reader.reads
            self.chaos.abandon()
            if not self.failed or not REPORT:
                shutil.rmtree(self.folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_whatever_happens_the_target_becomes_what_the_laptop_has() -> None:
    settings = hypothesis.settings(
        max_examples=max(1, STEPS // STEPS_PER_RUN),
        stateful_step_count=STEPS_PER_RUN,
        phases=[hypothesis.Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    try:
        run_state_machine_as_test(hypothesis.seed(SEED)(Machine), settings=settings)
    finally:
        if REPORT:
            Path(REPORT).write_text("\n".join(f"{count:7} {name}" for name, count in _totals.most_common()) + "\n")
