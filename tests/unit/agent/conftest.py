import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.agent import target


@pytest.fixture
def box(tmp_path: Path) -> Iterator[target.Target]:
    with target.opened(tmp_path) as subject:
        yield subject


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
