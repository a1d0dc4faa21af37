"""A folder in the target is swapped for a link again and again while batches arrive: nothing leaves the root."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from tests.behaviour import oracle, world
from tests.behaviour.conftest import Start


def test_nothing_is_written_through_a_link_that_is_swapped_in(start: Start, place: Path) -> None:
    subject = start(world.config("from: ./web, to: /app"), {f"web/d/f{number}.py": "0" for number in range(40)})
    assert subject.settle() == "in sync"
    outside = place / "outside"
    outside.mkdir()
    for number in range(40):
        (outside / f"f{number}.py").write_text("mine")
    folder, stop = subject.target / "app/d", threading.Event()

    def swap() -> None:
        away = subject.target / "app/away"
        while not stop.wait(0.0005):
            with contextlib.suppress(OSError):
                folder.rename(away)
                folder.symlink_to(outside)
            stop.wait(0.0005)
            with contextlib.suppress(OSError):
                folder.unlink()
            with contextlib.suppress(OSError):
                away.rename(folder)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for version in range(1, 25):
            for number in range(40):
                subject.write(f"web/d/f{number}.py", f"{version}-{number}")
            subject.flush(0.3)
    finally:
        stop.set()
        thread.join()
    assert {path.name: path.read_text() for path in outside.iterdir()} == {f"f{n}.py": "mine" for n in range(40)}
    # Once it is left alone, the laptop's next versions win.
    if folder.is_symlink():
        folder.unlink()
    for number in range(40):
        subject.write(f"web/d/f{number}.py", f"last-{number}")
    world.until(lambda: subject.settle() == "in sync", "in sync after the race")
    for number in range(40):
        assert os.path.realpath(folder) == str(folder)
        assert (folder / f"f{number}.py").read_text() == f"last-{number}"
    assert oracle.look(str(outside), oracle.Hasher()).keys() == {f"f{n}.py" for n in range(40)}
