"""Files whose times lie in the past or the future are synced by what is in them."""

from __future__ import annotations

import os

from tests.behaviour import oracle, world
from tests.behaviour.conftest import Start

SPECS = [oracle.SyncSpec("web", "/app")]


def test_times_that_go_backwards_hide_no_change(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), {"web/a.py": "one", "web/b.py": "one"})
    assert subject.settle() == "in sync"
    for seconds, content in ((1, "two"), (10**9, "six"), (4 * 10**9, "ten"), (5, "one")):
        path = subject.write("web/a.py", content)
        os.utime(path, (seconds, seconds))
        assert subject.settle() == "in sync"
        assert (subject.target / "app/a.py").read_text() == content


def test_a_change_with_the_same_size_and_time_is_found_also_while_nobody_watches(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), {"web/a.py": "one"})
    path = subject.project / "web/a.py"
    os.utime(path, (10**9, 10**9))
    assert subject.settle() == "in sync"
    subject.stop()
    path.write_text("two")
    os.utime(path, (10**9, 10**9))
    subject.start()
    assert subject.settle() == "in sync"
    assert (subject.target / "app/a.py").read_text() == "two"


def test_a_file_in_the_target_never_keeps_the_whole_second_of_the_version_before(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), {"web/a.py": "0"})
    assert subject.settle() == "in sync"
    seen = set()
    for version in range(1, 6):
        subject.write("web/a.py", str(version))
        assert subject.settle() == "in sync"
        seconds = int((subject.target / "app/a.py").stat().st_mtime)
        assert seconds not in seen
        seen.add(seconds)
    assert not world.differences(subject, SPECS, oracle.Hasher())
