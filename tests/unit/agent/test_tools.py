"""What the app's container is lent."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent import tools
from devloop import errors
from tests.unit.agent.launching import BUSYBOX, needs_busybox


@needs_busybox
def test_the_tools_are_there_for_everyone_and_run(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "tools"
    for _ in range(2):
        tools.install(str(folder), BUSYBOX)
    assert sorted(os.listdir(folder)) == ["busybox", "launcher.sh", "seed.sh"]
    assert {stat.S_IMODE(os.stat(folder / name).st_mode) for name in os.listdir(folder)} == {0o755}
    ran = subprocess.run([folder / "busybox", "sh", folder / "launcher.sh"], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (2, "devloop: launcher: there is no command after --\n")


@needs_busybox
def test_from_the_command_line(tmp_path: Path) -> None:
    made = [sys.executable, "-m", "agent", "tools", str(tmp_path / "tools"), "--busybox"]
    assert subprocess.run([*made, BUSYBOX]).returncode == 0
    assert (tmp_path / "tools" / "busybox").exists()
    wrong = subprocess.run([*made, "/no/such/busybox"], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "no busybox at /no/such/busybox: No such file or directory" in wrong.stderr
    assert "busybox-static" in wrong.stderr


def test_a_busybox_that_needs_libraries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.AgentError, match="not a static program"):
        tools.install(str(tmp_path), "/bin/ls")
    text = tmp_path / "text"
    text.write_text("#!/bin/sh\n")
    with pytest.raises(errors.AgentError, match="not a static program"):
        tools.install(str(tmp_path), str(text))


@needs_busybox
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.AgentError, match="cannot be copied to"):
        tools.install(str(tmp_path / "file"), BUSYBOX)
