"""`devloop approve`: what it asks and says."""

from __future__ import annotations

import pytest

from tests.unit.cli import watched
from tests.unit.cli.run import devloop


@pytest.mark.parametrize(("held", "words"), [(0, "nothing was held"), (31, "approved 31 deletions")])
def test_it_says_how_many(capsys: pytest.CaptureFixture[str], held: int, words: str) -> None:
    with watched.watched() as project:
        project.answers["approve"] = {"approved": held}
        ended = devloop(capsys, "approve", "web")
    assert (ended.status, project.asked) == (0, [("approve", {"services": ["web"]})])
    assert words in ended.err
