"""A target that cannot be written is shown, and caught up with when it can be written again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.behaviour import oracle, world
from tests.behaviour.conftest import Start


def make_immutable(folder: Path, how: str) -> None:
    if os.geteuid() != 0:
        folder.chmod(0o555 if how == "+i" else 0o755)
    elif subprocess.run(["chattr", how, str(folder)], capture_output=True).returncode:
        pytest.skip("nothing keeps this user from writing here")


def test_a_read_only_folder_is_shown_and_caught_up_with(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), {"web/d/a.py": "1", "web/b.py": "1"})
    assert subject.settle() == "in sync"
    folder = subject.target / "app/d"
    make_immutable(folder, "+i")
    try:
        subject.write("web/d/a.py", "2")
        subject.write("web/d/new.py", "2")
        subject.write("web/b.py", "2")
        assert subject.settle() == "partial"
        shown = {(row["path"], row["reason"], row["side"]) for row in subject.status()["problems"]}
        assert shown == {("d/a.py", "not-writable", "pod"), ("d/new.py", "not-writable", "pod")}
        assert (folder / "a.py").read_text() == "1"
        # One broken path never stops the rest.
        assert (subject.target / "app/b.py").read_text() == "2"
    finally:
        make_immutable(folder, "-i")
    world.until(lambda: subject.status()["state"] == "in sync", "in sync, without being told")
    assert not subject.status()["problems"]
    assert not world.differences(subject, [oracle.SyncSpec("web", "/app")], oracle.Hasher())
