"""scripts/seed.sh under the real busybox: the image's own files in a volume."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import tools
from tests.unit.agent import launching
from tests.unit.agent.launching import needs_busybox

pytestmark = needs_busybox

LONG_AGO = 946684800


class Image:
    """A folder of an image, and a volume."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "image"
        self.volume = folder / "volume"
        self.data = self.volume / "data"
        self.state = self.volume / "state"
        self.tools = folder / "tools"
        self.source.mkdir()
        self.volume.mkdir()
        self.volume.chmod(0o777)
        tools.install(str(self.tools), launching.BUSYBOX)

    def file(self, path: str, mode: int = 0o644, text: str = "x") -> Path:
        made = self.source / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(text)
        made.chmod(mode)
        os.utime(made, (LONG_AGO, LONG_AGO))
        return made

    def seed(self, *patterns: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        argv: list[str | Path] = [
            *before,
            self.tools / "busybox",
            "sh",
            self.tools / "seed.sh",
            self.source,
            self.volume,
            *patterns,
        ]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60)

    def copied(self) -> set[str]:
        return {str(path.relative_to(self.data)) for path in self.data.rglob("*") if not path.is_dir()}


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def image(open_place: Path) -> Image:
    return Image(open_place)


def as_other() -> tuple[str, ...]:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root, to become another user")
    return ("setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups")


def test_everything_with_its_mode_and_time(image: Image) -> None:
    image.file("bin/run", 0o755)
    image.file("odd/secret", 0o606)
    image.file("sp ace/-we[i]rd*\\$x", text="odd name")
    os.symlink("../gone", image.source / "bin" / "link")
    (image.source / "empty").mkdir(mode=0o700)
    (image.source / "odd").chmod(0o555)
    os.utime(image.source / "odd", (LONG_AGO, LONG_AGO))
    ended = image.seed("**")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "copied 4 files" in ended.stdout and " KiB, in " in ended.stdout
    for path in image.source.rglob("*"):
        was, now = path.lstat(), (image.data / path.relative_to(image.source)).lstat()
        assert (now.st_mode, path.name) == (was.st_mode, path.name)
        if not path.is_symlink():
            assert int(now.st_mtime) == int(was.st_mtime)
    assert os.readlink(image.data / "bin" / "link") == "../gone"
    assert (image.data / "sp ace" / "-we[i]rd*\\$x").read_text() == "odd name"
    assert not (image.state / "unseeded").exists()
    assert sorted(os.listdir(image.state)) == ["seeded"]


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["node_modules"], {"node_modules/a/i.js", "sub/node_modules/b.js"}),
        (["/node_modules/"], {"node_modules/a/i.js"}),
        (["sub/**"], {"sub/node_modules/b.js", "sub/x.so", "sub/y"}),
        (["**/*.so", "top"], {"sub/x.so", "top", "z.so"}),
        (["*.so"], {"sub/x.so", "z.so"}),
        (["/*.so"], {"z.so"}),
        (["sub/?"], {"sub/y"}),
        (["sub/**/b.js"], {"sub/node_modules/b.js"}),
        (["to+p"], set()),
        (["nothing"], set()),
    ],
)
def test_patterns_mean_what_they_mean_to_git(image: Image, patterns: list[str], wanted: set[str]) -> None:
    for path in ("node_modules/a/i.js", "sub/node_modules/b.js", "sub/x.so", "sub/y", "top", "z.so"):
        image.file(path)
    assert image.seed(*patterns).returncode == 0
    assert image.copied() == wanted


def test_folders_above_a_match_keep_their_mode(image: Image) -> None:
    image.file("deep/er/file")
    (image.source / "deep").chmod(0o710)
    image.seed("file")
    assert stat.S_IMODE((image.data / "deep").stat().st_mode) == 0o710


def test_it_does_nothing_when_it_was_done(image: Image) -> None:
    image.file("file")
    image.seed("**")
    (image.data / "file").write_text("synced since")
    again = image.seed("**")
    assert (again.returncode, "was copied already" in again.stdout) == (0, True)
    assert (image.data / "file").read_text() == "synced since"


def test_a_half_seed_is_done_again(image: Image) -> None:
    other = as_other()
    image.file("locked/file", text="whole")
    (image.source / "locked").chmod(0o555)
    assert image.seed("**", before=other).returncode == 0
    (image.state / "seeded").unlink()
    (image.data / "locked" / "file").write_text("ha")
    assert image.seed("**", before=other).returncode == 0
    assert (image.data / "locked" / "file").read_text() == "whole"
    assert stat.S_IMODE((image.data / "locked").stat().st_mode) == 0o555


def test_what_cannot_be_read_is_left_out_and_listed(image: Image) -> None:
    other = as_other()
    image.file("good")
    image.file("private", 0o600)
    image.file("closed/file")
    (image.source / "closed").chmod(0o700)
    image.file("two\nlines")
    os.mkfifo(image.source / "fifo")
    ended = image.seed("**", before=other)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "4 could not be read" in ended.stdout
    listed = (image.state / "unseeded").read_text().splitlines()
    assert sorted(listed) == ["./closed", "./fifo", "./private", "./two?lines"]
    assert image.copied() == {"good"}
    assert (image.data / "good").stat().st_uid == 54321


def test_what_was_not_asked_for_is_not_missed(image: Image) -> None:
    other = as_other()
    image.file("private", 0o600)
    assert image.seed("vendor", before=other).returncode == 0
    assert not (image.state / "unseeded").exists()


def test_a_full_volume_fails_loudly(image: Image) -> None:
    image.file("large", text="x" * 200_000)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "x", image.volume], capture_output=True).returncode:
        pytest.skip("may not mount here: run as root")
    try:
        ended = image.seed("**")
        assert ended.returncode == 1
        assert "No space left" in ended.stderr and "is there room" in ended.stderr
        assert not (image.state / "seeded").exists()
    finally:
        subprocess.run(["umount", image.volume], check=True)


def test_a_folder_that_the_image_does_not_have_is_told(image: Image) -> None:
    image.source.rmdir()
    ended = image.seed("**")
    assert ended.returncode == 1
    assert "is not a folder of the image" in ended.stderr


def test_a_volume_that_cannot_be_written_is_told(image: Image) -> None:
    other = as_other()
    image.volume.chmod(0o755)
    ended = image.seed("**", before=other)
    assert ended.returncode == 1
    assert "uid=54321" in ended.stderr


def test_no_pattern_is_a_usage_error(image: Image) -> None:
    assert "usage: seed.sh" in image.seed().stderr
