"""What every scenario is given."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from tests.bench import corpus, lab


class Plan(msgspec.Struct, frozen=True):
    """How to measure.

    Attributes:
        trees: The corpus.
        memory: A folder on tmpfs.
        disk: A folder on a disk.
        runs: How often.
        quick: Less of everything, to see that it works.
    """

    trees: corpus.Corpus
    memory: Path
    disk: Path
    runs: int
    quick: bool

    def on_memory(self) -> lab.Lab:
        """Return a new lab on tmpfs."""
        return lab.Lab(self.trees, self.memory)

    def on_disk(self) -> lab.Lab:
        """Return a new lab on the disk."""
        return lab.Lab(self.trees, self.disk)


# What is edited: a name that no package of the corpus has.
EDITED: Final = "edited_by_the_bench.py"
