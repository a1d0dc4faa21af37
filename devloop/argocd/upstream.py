"""The checkout of the templates as `env pr` and `env pull-upstream` see it: its branch, and whose is upstream.

Asks the user's git, and changes nothing here or elsewhere but what `git fetch` does. Which remote is upstream follows
the way people name forks: `upstream` where there is one, else `origin`; `--upstream` names another.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import msgspec

from devloop import errors
from devloop.argocd import git

NO_CHECKOUT: Final = "DL1060"
DIRTY: Final = "DL1061"
BRANCH: Final = "DL1062"
UNFINISHED: Final = "DL1064"

FETCH_S: Final = 120.0
"""A repository of templates is small, but may be fetched for the first time."""

# What git leaves in its folder while it waits for a person: git-status(1) looks for the same.
_WAITING: Final = (
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
)
_MAX_NAMED: Final = 5


class Checkout(msgspec.Struct, frozen=True):
    """The checkout as it was looked at.

    Attributes:
        top: Its folder.
        branch: What is checked out; empty where it is a commit.
        head: The commit that is checked out; empty where there is none yet.
        changed: Tracked paths that are not committed, of conflicts too.
        unknown: Paths that git neither tracks nor ignores.
        remotes: Name to address.
        upstream: The remote that changes are proposed to.
        pushes: The remote that the branch is pushed to.
        waiting: What git was told to do and waits with: `rebase`, `merge`; empty for nothing.
    """

    top: str
    branch: str
    head: str
    changed: tuple[str, ...]
    unknown: tuple[str, ...]
    remotes: dict[str, str]
    upstream: str
    pushes: str
    waiting: str = ""

    @property
    def is_fork(self) -> bool:
        """Whether the branch goes to another repository than the one that changes are proposed to."""
        return self.pushes != self.upstream


async def look(folder: str, upstream: str = "") -> Checkout:
    """Look at a checkout.

    Args:
        folder: `argocd.templates`; empty where the project names none.
        upstream: The remote that is upstream; empty for the one that its name says.

    Raises:
        LocalError: There is no checkout, it has no remote, or git cannot be asked.
        UsageError: There is no remote of that name.
    """
    top = await _top(folder)
    remotes = await git.remotes(top)
    if not remotes:
        raise errors.LocalError(
            f"the templates in {top} have no remote",
            hint="add the repository that Argo CD renders: git remote add origin URL",
            code=NO_CHECKOUT,
        )
    if upstream and upstream not in remotes:
        raise errors.UsageError(f"{top} has no remote {upstream!r}", hint=f"it has {', '.join(remotes)}")
    above = upstream or ("upstream" if "upstream" in remotes else next(iter(remotes)))
    branch = await line(top, "symbolic-ref", "--quiet", "--short", "HEAD")
    changed, unknown = await _paths(top)
    return Checkout(
        top=top,
        branch=branch,
        head=await line(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"),
        changed=changed,
        unknown=unknown,
        remotes=remotes,
        upstream=above,
        pushes=await _pushes(top, branch, remotes, above),
        waiting=await _waiting(top),
    )


async def default_branch(one: Checkout) -> str:
    """Return the name of upstream's default branch, as its server tells it.

    Raises:
        LocalError: It cannot be asked, or has none.
    """
    told = await succeed(one.top, "ls-remote", "--symref", "--", one.upstream, "HEAD")
    for line in told.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "ref:" and words[2] == "HEAD":
            return words[1].removeprefix("refs/heads/")
    raise errors.LocalError(
        f"the repository {one.remotes[one.upstream]} has no default branch",
        hint="name the branch with --base",
        code=git.CODE,
    )


async def fetch(one: Checkout, branch: str) -> str:
    """Fetch a branch of upstream and return its commit.

    Raises:
        LocalError: It is not there, or cannot be fetched.
    """
    tracking = f"refs/remotes/{one.upstream}/{branch}"
    await succeed(one.top, "fetch", "--quiet", one.upstream, f"+refs/heads/{branch}:{tracking}", timeout_s=FETCH_S)
    return await line(one.top, "rev-parse", "--verify", "--quiet", f"{tracking}^{{commit}}")


async def pushed(one: Checkout) -> str:
    """Return the commit that the branch has where it is pushed to, as the server says; empty where it is not there."""
    return await git.commit_of(one.remotes[one.pushes], one.branch, one.top)


async def succeed(folder: str, *arguments: str, timeout_s: float = git.TIMEOUT_S) -> str:
    """Run git and return what it printed.

    Raises:
        LocalError: It failed; with its own words.
    """
    said = await git.run(arguments, folder, timeout_s=timeout_s)
    if said.status != 0:
        raise failed(arguments, said, folder)
    return said.out


async def line(top: str, *arguments: str) -> str:
    """Return the line that git answers with; empty where it has no answer."""
    said = await git.run(arguments, top)
    return said.out.strip() if said.status == 0 else ""


async def contains(top: str, commit: str, other: str) -> bool:
    """Say whether a commit has another one behind it; one that the checkout does not have is not behind it."""
    return (await git.run(["merge-base", "--is-ancestor", other, commit], top)).status == 0


async def had(one: Checkout, commit: str) -> bool:
    """Say whether a commit is, or once was, what the branch had here: then nothing in it is somebody else's alone."""
    told = await line(one.top, "reflog", "show", "--format=%H", f"refs/heads/{one.branch}", "--")
    return commit in told.split() or await contains(one.top, one.head, commit)


def failed(arguments: Sequence[str], said: git.Said, folder: str) -> errors.LocalError:
    """Return the error for a git command that failed."""
    words = [line.strip() for line in said.complaint.splitlines() if line.strip()]
    reason = next((line for line in words if line.startswith(("fatal:", "error:", "! "))), words[0] if words else "")
    shown = reason.removeprefix("fatal: ").removeprefix("error: ") or f"exit status {said.status}"
    return errors.LocalError(
        f"git {arguments[0]} failed in {folder}: {shown}", hint="run it there by hand to see all of it", code=git.CODE
    )


def check_branch(one: Checkout) -> None:
    """Check that a branch is checked out, and that git is not in the middle of something.

    Raises:
        LocalError: It is not so.
    """
    if one.waiting:
        raise errors.LocalError(
            f"a {one.waiting} is not finished in {one.top}",
            hint=f"resolve what is left and run `git {one.waiting} --continue`, or `git {one.waiting} --abort`",
            code=UNFINISHED,
        )
    if not one.branch or not one.head:
        raise errors.LocalError(
            f"no branch is checked out in {one.top}" if one.head else f"there is no commit yet in {one.top}",
            hint="make one for your change: git switch -c NAME",
            code=BRANCH,
        )


def check_clean(one: Checkout, *, unknown: bool, hint: str) -> None:
    """Check that everything is committed.

    Args:
        one: The checkout.
        unknown: Files that git does not know count too.
        hint: What to do about it.

    Raises:
        LocalError: It is not.
    """
    left = (*one.changed, *(one.unknown if unknown else ()))
    if left:
        more = f" and {len(left) - _MAX_NAMED} more" if len(left) > _MAX_NAMED else ""
        raise errors.LocalError(
            f"not committed in {one.top}: {', '.join(left[:_MAX_NAMED])}{more}", hint=hint, code=DIRTY
        )


async def _top(folder: str) -> str:
    if not folder:
        raise errors.LocalError(
            "devloop.yaml does not say where your clone of the templates is",
            hint="write `argocd: {templates: ../deploy-templates}`",
            code=NO_CHECKOUT,
        )
    if not os.path.isdir(folder):
        hint = "clone the templates there, or correct argocd.templates"
        raise errors.LocalError(f"there is no folder {folder}", hint=hint, code=NO_CHECKOUT)
    said = await git.run(["rev-parse", "--show-toplevel"], folder)
    if said.status != 0:
        raise errors.LocalError(
            f"{folder} is no checkout of a repository",
            hint="clone the templates there, or correct argocd.templates",
            code=NO_CHECKOUT,
        )
    return said.out.rstrip("\n")


async def _pushes(top: str, branch: str, remotes: dict[str, str], upstream: str) -> str:
    """Return where git would push the branch: git-config(1), `branch.<name>.pushRemote` and what it overrides."""
    keys = [f"branch.{branch}.pushRemote", "remote.pushDefault", f"branch.{branch}.remote"]
    for key in keys if branch else keys[1:2]:
        found = await line(top, "config", "--get", key)
        # a branch that was begun from upstream's tracks that; where there is a fork, it goes to the fork all the same
        if found in remotes and (found != upstream or key != keys[2]):
            return found
    return "origin" if "origin" in remotes else upstream


async def _paths(top: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is changed and what is unknown: `git status --porcelain=v1 -z`, of git-status(1)."""
    told = await succeed(top, "status", "--porcelain=v1", "-z", "--no-renames")
    rows = [row for row in told.split("\0") if row]
    changed = tuple(row[3:] for row in rows if not row.startswith("??"))
    return changed, tuple(row[3:] for row in rows if row.startswith("??"))


async def _waiting(top: str) -> str:
    folder = await line(top, "rev-parse", "--absolute-git-dir")
    return next((words for name, words in _WAITING if os.path.exists(os.path.join(folder, name))), "")
