"""A file beyond 2 GiB is hashed, and an edit beside it does not wait for it."""

from __future__ import annotations

import os

import pytest

from tests.behaviour import world
from tests.behaviour.conftest import Start

SIZE = 2**31 + 4097


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("DEVLOOP_TEST_LARGE"), reason="takes half a minute; DEVLOOP_TEST_LARGE=1 runs it"
)
def test_a_sparse_file_of_more_than_two_gib_arrives_and_an_edit_overtakes_it(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), {"web/a.py": "1"})
    assert subject.settle() == "in sync"
    free = os.statvfs(subject.target)
    if free.f_bavail * free.f_frsize < 4 * SIZE:
        pytest.skip("not enough space for it")
    with (subject.project / "web/large.bin").open("wb") as stream:
        stream.truncate(SIZE)
    arrived = subject.target / "app/large.bin"
    world.until(lambda: any("large.bin" in str(event) for event in subject.events("sync_started")), "its batch")
    subject.write("web/a.py", "2")
    world.until(lambda: (subject.target / "app/a.py").read_text() == "2", "the edit")
    assert not arrived.exists()
    assert subject.settle() == "in sync"
    assert arrived.stat().st_size == SIZE
