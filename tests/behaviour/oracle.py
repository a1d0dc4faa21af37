"""What the target must hold, judged from the laptop's disk without any of devloop's code.

Git answers what git ignores (`ls-files --exclude-standard`, `check-ignore`). devloop's own layers are spelled out here
for the few kinds of patterns that the tests use: `*.ext`, `/name`, `name/` in `.devloopignore` files and in `ignore:`,
and one `include:` of a whole folder.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# Editors' temporary files that the tests make; untracked ones are never shipped.
TEMPORARY = ("*~", "*.swp", "4913", ".#*")


@dataclass(frozen=True)
class Thing:
    """What one path is: kind `f`, `d` or `l`, digest of the content or the link's words, executable bit."""

    kind: str
    digest: str = ""
    executable: bool = False


@dataclass
class SyncSpec:
    """One sync as the tests configure it."""

    source: str
    to: str
    ignore: tuple[str, ...] = ()
    include_folder: str = ""


@dataclass
class Hasher:
    """Hashes files, each stamp once."""

    _seen: dict[tuple[int, int, int, int, int], str] = field(default_factory=dict)

    def digest(self, path: str, info: os.stat_result) -> str:
        key = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        if key not in self._seen:
            with open(path, "rb") as stream:
                self._seen[key] = hashlib.sha256(stream.read()).hexdigest()
        return self._seen[key]


def look(root: str, hasher: Hasher, skip: frozenset[str] = frozenset()) -> dict[str, Thing]:
    """Return everything below a folder, by path. Names in `skip` are left out at the top."""
    found: dict[str, Thing] = {}
    stack = [""]
    while stack:
        folder = stack.pop()
        for name in os.listdir(os.path.join(root, folder)):
            path = f"{folder}/{name}" if folder else name
            if path in skip:
                continue
            full = os.path.join(root, path)
            info = os.lstat(full)
            if stat.S_ISDIR(info.st_mode):
                found[path] = Thing("d")
                stack.append(path)
            elif stat.S_ISLNK(info.st_mode):
                found[path] = Thing("l", os.fsencode(os.readlink(full)).hex())
            elif stat.S_ISREG(info.st_mode):
                found[path] = Thing("f", hasher.digest(full, info), bool(info.st_mode & 0o100))
            else:
                found[path] = Thing("?")
    return found


def git_bytes(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Return what a git command prints; 1 is no error."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, input=stdin, capture_output=True)
    assert done.returncode in {0, 1}, (arguments, done.stderr)
    return done.stdout


def _paths(raw: bytes) -> set[str]:
    return {os.fsdecode(each) for each in raw.split(b"\0") if each}


def shipped(project: Path, spec: SyncSpec, disk: dict[str, Thing]) -> dict[str, Thing]:
    """Return what of a sync's folder must be in the target.

    Args:
        project: The repository's top.
        spec: The sync.
        disk: Everything below the sync's folder.
    """
    root = project / spec.source
    tracked = _paths(git_bytes(root, "ls-files", "-z", "-c"))
    untracked = _paths(git_bytes(root, "ls-files", "-z", "-o", "--exclude-standard"))
    untracked = {path for path in untracked if not any(fnmatch.fnmatchcase(_name(path), each) for each in TEMPORARY)}
    files = {path for path, thing in disk.items() if thing.kind in "fl"}
    kept = (files & tracked) | (files & untracked)
    folders = [path for path, thing in disk.items() if thing.kind == "d"]
    asked = b"\0".join(os.fsencode(path) for path in folders)
    covered = _paths(git_bytes(root, "check-ignore", "--no-index", "-z", "--stdin", stdin=asked)) if folders else set()
    ours = _own_rules(root, spec, disk)
    kept = {path for path in kept if not _covered(path, disk, ours)}
    open_folders = {
        path
        for path in folders
        if not any(above in covered for above in (path, *_above(path))) and not _covered(path, disk, ours)
    }
    if spec.include_folder:
        inside = spec.include_folder + "/"
        kept |= {path for path in files if path.startswith(inside)}
        open_folders |= {path for path in folders if path.startswith(inside)}
    for path in [*kept, *open_folders]:
        open_folders.update(_above(path))
    return {path: disk[path] for path in kept | open_folders}


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _own_rules(root: Path, spec: SyncSpec, disk: dict[str, Thing]) -> list[tuple[str, str]]:
    found = [("", line) for line in spec.ignore]
    for path, thing in disk.items():
        folder, _, name = path.rpartition("/")
        if name == ".devloopignore" and thing.kind == "f":
            text = (root / path).read_text()
            found += [(folder, line) for line in text.split("\n") if line and not line.startswith("#")]
    return found


def _covered(path: str, disk: dict[str, Thing], rules: list[tuple[str, str]]) -> bool:
    """Say whether one of devloop's own rules covers a path, or a folder that it is in."""
    for one in (*_above(path), path):
        is_folder = disk[one].kind == "d"
        for folder, line in rules:
            if folder and not one.startswith(folder + "/"):
                continue
            if _in_covered_folder(folder, disk, rules):
                continue
            below = one[len(folder) + 1 :] if folder else one
            if _matches(line, below, is_folder):
                return True
    return False


def _in_covered_folder(folder: str, disk: dict[str, Thing], rules: list[tuple[str, str]]) -> bool:
    """Say whether a folder's own ignore file counts for nothing, because a file above it covers the folder."""
    above = [(place, line) for place, line in rules if not place or folder.startswith(place + "/")]
    return bool(folder) and _covered(folder, disk, [(place, line) for place, line in above if place != folder])


def _matches(line: str, path: str, is_folder: bool) -> bool:
    name = _name(path)
    if line.endswith("/"):
        return is_folder and fnmatch.fnmatchcase(name, line[:-1])
    if line.startswith("/"):
        return path == line[1:]
    return fnmatch.fnmatchcase(name, line)
