"""What git is doing in a work tree, read from its folder: the lock on the index, the index, HEAD, a rebase.

Like every event, one from git's folder is a hint; `read_state` looks. Nothing here runs git or writes. A repository
whose refs are in the reftable format does not tell where HEAD is without git itself: its moves are not seen, its locks
and its index are.
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

_LOCK: Final = "index.lock"
_REBASES: Final = ("rebase-merge", "rebase-apply")
_OWN_NAMES: Final = frozenset({"HEAD", "index", _LOCK, "packed-refs", *_REBASES})
_MAX_HOPS: Final = 5


class GitDirs(msgspec.Struct, frozen=True):
    """Where a work tree's git data is (gitrepository-layout(5)).

    Attributes:
        git_dir: This work tree's own folder, with HEAD and the index; absolute.
        common_dir: What all work trees of the repository share, with the refs; absolute.
    """

    git_dir: str
    common_dir: str


class GitState(msgspec.Struct, frozen=True):
    """What was seen.

    Attributes:
        head: The commit that HEAD stands for; empty for an unborn branch, and where it cannot be told.
        locked: Some git command holds the index.
        rebasing: A rebase or `git am` is under way, between two of its steps or in one.
        index: Differs when the index does; empty where there is none.
        ref: The name of the ref that HEAD follows; empty if it is detached.
    """

    head: str = ""
    locked: bool = False
    rebasing: bool = False
    index: tuple[int, ...] = ()
    ref: str = ""


def read_state(dirs: GitDirs) -> GitState:
    """Look at git's folder: a handful of stats and one or two small files."""
    ref, head = _resolve(dirs)
    return GitState(
        head=head,
        locked=os.path.lexists(os.path.join(dirs.git_dir, _LOCK)),
        rebasing=any(os.path.isdir(os.path.join(dirs.git_dir, name)) for name in _REBASES),
        index=_signature(os.path.join(dirs.git_dir, "index")),
        ref=ref,
    )


def folders(dirs: GitDirs, state: GitState) -> frozenset[str]:
    """Return the folders in which something happens when this state changes.

    git's own folder, its log of HEAD (written at every move, where it is kept), the shared one for packed refs, and the
    one that holds the branch.
    """
    found = {dirs.git_dir, os.path.join(dirs.git_dir, "logs"), dirs.common_dir}
    if state.ref:
        found.add(os.path.dirname(os.path.join(dirs.common_dir, state.ref)))
    return frozenset(found)


def concerns(dirs: GitDirs, state: GitState, folder: str, name: str) -> bool:
    """Say whether an event in one of `folders` may change the state; git writes much else there."""
    if not name:
        # The watch on the folder begins only now.
        return True
    if folder == dirs.git_dir or folder == dirs.common_dir:
        return name in _OWN_NAMES
    return name == "HEAD" or name == os.path.basename(state.ref)


def _resolve(dirs: GitDirs) -> tuple[str, str]:
    """Return the first ref that HEAD follows, and the commit at the end."""
    content = _read(os.path.join(dirs.git_dir, "HEAD"))
    first = ""
    for _ in range(_MAX_HOPS):
        if not content.startswith("ref:"):
            return first, content
        ref = content[4:].strip()
        first = first or ref
        if not ref.startswith("refs/") or ".." in ref.split("/"):
            return "", ""
        content = _read(os.path.join(dirs.common_dir, ref)) or _packed(dirs, ref)
    return first, ""


def _packed(dirs: GitDirs, ref: str) -> str:
    """Return the commit of a ref in packed-refs: lines of `<object name> <ref>`."""
    wanted = f" {ref}"
    for line in _read(os.path.join(dirs.common_dir, "packed-refs")).splitlines():
        if line.endswith(wanted) and line[0] not in "#^":
            return line[: -len(wanted)]
    return ""


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read().strip()
    except OSError:
        return ""


def _signature(file: str) -> tuple[int, ...]:
    try:
        status = os.stat(file)
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_size, status.st_ino)
