"""The clone of the templates repository on this machine: whose it is, and how it stands to what Argo CD compared.

Asks git, which only reads; nothing is fetched, so what the clone has of a branch may be old, and says since when.
Blocks: call it in a thread.
"""

from __future__ import annotations

import os
import re
from typing import Final

import msgspec

from devloop.fs import gitrepo

_SCP: Final = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:]+):(?P<path>[^/].*)")
_URL: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^@/]*@)?(?P<host>[^/:]*)(?::[0-9]+)?/(?P<path>.*)", re.I)


class Clone(msgspec.Struct, frozen=True):
    """A clone.

    Attributes:
        top: Its folder.
        remotes: Name to address.
        branch: What is checked out; empty where it is a commit.
    """

    top: str
    remotes: dict[str, str]
    branch: str = ""


class Standing(msgspec.Struct, frozen=True):
    """How a commit that Argo CD compared stands to a branch, as far as the clone knows.

    Attributes:
        branch: The remote-tracking branch, such as `origin/main`.
        tip: Where the clone last saw it.
        behind: How many commits of the branch are not in what was compared.
        ahead: How many of what was compared the clone does not know to be in the branch.
        known: The clone has the compared commit.
        fetched_s: When it was fetched last, in seconds since the epoch; 0 where nobody knows.
    """

    branch: str
    tip: str
    behind: int = 0
    ahead: int = 0
    known: bool = True
    fetched_s: float = 0.0


def find(folder: str) -> Clone | str:
    """Return the clone that a folder is in, or why there is none.

    Args:
        folder: `argocd.templates`.
    """
    if not os.path.isdir(folder):
        return f"there is no folder {folder}"
    repo = gitrepo.find(folder)
    if isinstance(repo, gitrepo.NoRepo):
        return f"{folder} is no clone: {repo.detail}"
    remotes: dict[str, str] = {}
    for line in (repo.reads("config", "--get-regexp", r"^remote\..*\.url$") or "").splitlines():
        key, _, address = line.partition(" ")
        remotes.setdefault(key.removeprefix("remote.").removesuffix(".url"), address)
    branch = repo.reads("symbolic-ref", "--quiet", "--short", "HEAD") or ""
    return Clone(repo.top, remotes, branch.strip())


def remote_of(clone: Clone, address: str) -> str:
    """Return the remote of a clone that is a repository, or an empty text.

    Args:
        clone: The clone.
        address: A source's `repoURL`.
    """
    wanted = same(address)
    return next((name for name, each in clone.remotes.items() if same(each) == wanted), "")


def same(address: str) -> str:
    """Return what the ways to write a repository's address have in common: `github.com/org/name`.

    The scheme, a login, a port, `.git` and a slash at the end are ways to get there, as Argo CD takes them (its
    `util/git.NormalizeGitURL`), and hosts have no case.
    """
    text = address.strip()
    found = _URL.fullmatch(text) or _SCP.fullmatch(text)
    if found is None:
        return os.path.abspath(text).removesuffix("/").removesuffix(".git") if text else ""
    host, path = found["host"].lower(), found["path"].rstrip("/").removesuffix(".git")
    if not host:
        return f"/{path}"
    return f"{host}/{path.lstrip('/')}"


def standing(clone: Clone, remote: str, branch: str, compared: str) -> Standing | None:
    """Return how a commit stands to a branch, or None where the clone does not have the branch.

    Args:
        clone: The clone.
        remote: Of which remote.
        branch: A branch's name; HEAD, or an empty text, is the remote's default branch.
        compared: A commit.
    """
    repo = gitrepo.find(clone.top)
    if isinstance(repo, gitrepo.NoRepo) or not remote or not compared or branch.startswith("-"):
        return None
    name = branch.removeprefix("refs/heads/")
    tracking = f"refs/remotes/{remote}/{'HEAD' if name in {'', 'HEAD'} else name}"
    tip = (repo.reads("rev-parse", "--verify", "--quiet", f"{tracking}^{{commit}}") or "").strip()
    if not tip:
        return None
    shown, fetched_s = tracking.removeprefix("refs/remotes/"), _fetched_s(repo)
    if tip == compared:
        return Standing(shown, tip, fetched_s=fetched_s)
    counted = repo.reads("rev-list", "--left-right", "--count", f"{compared}...{tip}", "--")
    if counted is None:
        return Standing(shown, tip, known=False, fetched_s=fetched_s)
    ahead, behind = (int(each) for each in counted.split())
    return Standing(shown, tip, behind, ahead, fetched_s=fetched_s)


def _fetched_s(repo: gitrepo.GitRepo) -> float:
    try:
        return os.stat(os.path.join(repo.git_dir, "FETCH_HEAD")).st_mtime
    except OSError:
        return 0.0
