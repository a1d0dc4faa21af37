from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.agent import target


@pytest.fixture
def box(tmp_path: Path) -> Iterator[target.Target]:
    with target.opened(tmp_path) as subject:
        yield subject
