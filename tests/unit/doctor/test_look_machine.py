"""What is found out about this machine, with real folders and the real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from devloop.config import load
from devloop.doctor import facts, look_machine

YAML = """
version: 1
services:
  web:
    target: {local: ./target}
    sync:
      - {from: ./web, to: /app, ignore: [skip/]}
      - {from: ./missing, to: /more}
"""


def project(folder: Path, text: str = YAML) -> load.Project:
    (folder / "devloop.yaml").write_text(text)
    (folder / "web").mkdir()
    return load.load(str(folder / "devloop.yaml"))


def test_only_folders_that_are_watched_are_counted(tmp_path: Path) -> None:
    loaded = project(tmp_path)
    for name in ("a/b", "skip/deep", "out/x", ".git/objects", ".devloop/x"):
        (tmp_path / "web" / name).mkdir(parents=True)
    (tmp_path / "web" / ".gitignore").write_text("out/\n")
    (tmp_path / "web" / "link").symlink_to("a")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    found, missing = look_machine.look(loaded, ("web",)).folders
    # The root, a, and a/b.
    assert (found.service, found.label, found.folders) == ("web", "web", 3)
    assert found.repo_fix == ""
    assert missing.error is not None and missing.error.error_code == "DL0206"


def test_a_tree_that_takes_long_to_count_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_machine, "COUNT_S", -1.0)
    found = look_machine.look(project(tmp_path), ("web",)).folders[0]
    assert isinstance(found.folders, facts.Unknown)


def test_polling_that_the_project_asks_for_needs_no_watches(tmp_path: Path) -> None:
    found = look_machine.look(project(tmp_path, YAML + "watch: {backend: polling}\n"), ("web",)).folders[0]
    assert (found.backend, found.why) == ("polling", "as the configuration says")


def test_a_machine_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = project(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert look_machine.look(loaded, ("web",)).git == facts.Unknown("git is not on PATH")
    broken = tmp_path / "git"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    assert look_machine.look(loaded, ("web",)).git == facts.Unknown("git cannot be run: exit status 3")


def test_a_target_is_looked_at_and_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "target"
    assert look_machine.local("web", str(folder)) == facts.Local("web", str(folder), False, True)
    assert not folder.parent.exists()
    folder.mkdir(parents=True)
    assert look_machine.local("web", str(folder)) == facts.Local("web", str(folder), True, True)
    (folder / "mine").touch()
    assert look_machine.local("web", str(folder)).foreign
    (folder / ".devloop").mkdir()
    (folder / ".devloop" / "target.json").touch()
    assert not look_machine.local("web", str(folder)).foreign


def test_a_target_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not look_machine.local("web", str(tmp_path / "file")).writable


def test_the_marker_is_the_agents() -> None:
    from agent import guard

    assert look_machine.MARKER == guard.MARKER
