"""The source trees that are measured on: real files of PyPI packages, made once and cached as tar files.

`tree-10k` is the whole: more than 10,000 files and 100 MB. `tree-1k` is a part of it; `tree-100k` is copies of it with
altered content, each file cut at 4 KiB so that it fits in memory. Every tree is a git repository with one commit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

# Pure wheels, so that they are the same on every machine. Together: 10,972 files, 129 MB.
PACKAGES: Final = (
    "django==5.2.19",
    "botocore==1.44.5",
    "sympy==1.14.0",
    "ansible-core==2.19.14",
    "babel==2.18.0",
    "networkx==3.6.1",
    "twisted==26.10.0",
)

_MIN_FILES: Final = 10_000
_MIN_BYTES: Final = 100_000_000
_CUT_BYTES: Final = 4096

# Raised when what is in a tree changes, so that no stale one is used.
_EDITION: Final = "1"


class Corpus:
    """The cached trees.

    Args:
        cache: A folder for them.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def unpack(self, name: str, into: Path) -> list[Path]:
        """Put a tree, with its `.git`, into a folder, and return the files without those of git, sorted.

        Args:
            name: `1k`, `10k` or `100k`.
            into: Made if missing.
        """
        into.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-xf", self._tar(name), "-C", into], check=True)
        return files_of(into)

    def _tar(self, name: str) -> Path:
        tar = self._cache / f"tree-{name}-{_EDITION}.tar"
        if not tar.exists():
            self._cache.mkdir(parents=True, exist_ok=True)
            sys.stderr.write(f"making the tree of {name} files, once\n")
            # Two benches may do so at the same time.
            with tempfile.TemporaryDirectory(prefix="making-", dir=self._cache) as made:
                making = Path(made, "tree")
                self._make(name, making, Path(made))
                _commit(making)
                subprocess.run(["tar", "-cf", Path(made, "tar"), "-C", making, "."], check=True)
                Path(made, "tar").rename(tar)
        return tar

    def _make(self, name: str, into: Path, beside: Path) -> None:
        if name == "10k":
            _unzip(into, beside / "wheels")
            _check(into)
            return
        whole = beside / "whole"
        found = self.unpack("10k", whole)
        if name == "1k":
            for path in found[:: len(found) // 1000]:
                _write(into / path.relative_to(whole), path.read_bytes())
        else:
            for copy in range(100_000 // len(found) + 1):
                for path in found:
                    altered = b"# copy %d\n" % copy + path.read_bytes()[:_CUT_BYTES]
                    _write(into / f"copy{copy}" / path.relative_to(whole), altered)


def files_of(tree: Path) -> list[Path]:
    """Return the regular files of a tree, without those of git, sorted."""
    found = []
    for folder, folders, names in os.walk(tree):
        folders[:] = [each for each in folders if each != ".git"]
        found += [Path(folder, name) for name in names]
    return sorted(found)


def _unzip(into: Path, wheels: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--only-binary=:all:", "--dest", wheels, *PACKAGES], check=True)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into)


def _check(tree: Path) -> None:
    found = files_of(tree)
    size = sum(path.stat().st_size for path in found)
    if len(found) < _MIN_FILES or size < _MIN_BYTES:
        raise SystemExit(f"the tree has {len(found)} files of {size} bytes: too small; add to PACKAGES")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _commit(tree: Path) -> None:
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    for step in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "a tree"], ["repack", "-adq"]):
        fast = ["-c", "gc.auto=0", "-c", "core.looseCompression=0", "-c", "pack.compression=0"]
        subprocess.run(["git", *identity, *fast, *step], cwd=tree, env=environment, check=True)
    subprocess.run(["git", "prune-packed", "-q"], cwd=tree, env=environment, check=True)
