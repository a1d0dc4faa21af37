"""A file that cannot be read is a problem of that file; its copy in the target stays until it can be read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.behaviour import world

# Root, but bound by permission bits like everybody else.
_RIGHTS = "-dac_override,-dac_read_search"
WITHOUT_RIGHTS = ["setpriv", f"--bounding-set={_RIGHTS}", f"--inh-caps={_RIGHTS}"]


def test_an_unreadable_file_is_shown_and_its_copy_stays(place: Path) -> None:
    subject = world.World(place, world.config("from: ./web, to: /app"))
    subject.write("web/a.py", "1")
    subject.write("web/d/b.py", "1")
    subject.init_git()
    if os.geteuid() == 0:
        subject.wrapper = WITHOUT_RIGHTS
        (place / "probe").touch(0)
        probe = subprocess.run([*WITHOUT_RIGHTS, "cat", str(place / "probe")], capture_output=True)
        if b"Permission denied" not in probe.stderr:
            pytest.skip("root can read everything, and here it cannot give that up")
    with world.watching(subject):
        assert subject.settle() == "in sync"
        (subject.project / "web/a.py").chmod(0)
        (subject.project / "web/d").chmod(0)
        subject.write("web/new.py", "1")
        assert subject.settle() == "partial"
        shown = {(row["path"], row["reason"]) for row in subject.status()["problems"]}
        assert shown == {("a.py", "unreadable"), ("d", "unreadable")}
        assert (subject.target / "app/a.py").read_text() == "1"
        assert (subject.target / "app/d/b.py").read_text() == "1"
        assert (subject.target / "app/new.py").exists()
        (subject.project / "web/a.py").chmod(0o644)
        (subject.project / "web/d").chmod(0o755)
        assert subject.settle() == "in sync"
