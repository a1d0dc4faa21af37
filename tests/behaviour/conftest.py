"""What the behaviour tests share: a folder with a short path, and a watching process that is ended."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.behaviour import world

Start = Callable[..., world.World]


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder; its path is short enough for sockets below it."""
    folder = Path(tempfile.mkdtemp(prefix="dlb"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    """Make a project out of files, and watch it."""
    made: list[world.World] = []

    def begin(config: str, files: dict[str, str], *, target: Path | None = None, git: bool = True) -> world.World:
        subject = world.World(place, config, target=target)
        made.append(subject)
        for path, content in files.items():
            subject.write(path, content)
        if git:
            subject.init_git()
        subject.start()
        return subject

    yield begin
    for subject in made:
        if subject.process is not None:
            subject.stop()
        complaints = (subject.folder / "stderr").read_text()
        assert not complaints, complaints


@pytest.fixture
def tmpfs(place: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    folder = place / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"this user cannot mount a file system: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
