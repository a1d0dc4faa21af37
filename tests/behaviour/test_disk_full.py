"""A target whose disk is full keeps the old files whole, says so, and catches up when there is space."""

from __future__ import annotations

from pathlib import Path

from tests.behaviour import oracle, world
from tests.behaviour.conftest import Start


def test_a_full_disk_leaves_the_old_files_and_is_caught_up_with(start: Start, tmpfs: Path) -> None:
    config = world.config("from: ./web, to: /app", target=str(tmpfs / "t"))
    subject = start(config, {"web/a.py": "old", "web/b.bin": "x" * 1000}, target=tmpfs / "t")
    assert subject.settle() == "in sync"
    filler = tmpfs / "filler"
    with filler.open("wb") as stream:
        try:
            while True:
                stream.write(bytes(1 << 16))
                stream.flush()
        except OSError:
            pass
    subject.write("web/a.py", "new")
    subject.write("web/b.bin", "y" * 3_000_000)
    assert subject.settle() == "partial"
    problems = {row["path"]: row["reason"] for row in subject.status()["problems"]}
    assert "no-space" in problems.values(), problems
    assert (tmpfs / "t/app/a.py").read_text() in {"old", "new"}
    assert (tmpfs / "t/app/b.bin").read_text() == "x" * 1000
    filler.unlink()
    assert subject.settle() == "in sync"
    assert not subject.status()["problems"]
    assert not world.differences(subject, [oracle.SyncSpec("web", "/app")], oracle.Hasher())
