"""Pushing the developer's branch, and taking upstream's commits into it: git's work, with its refusals told in words.

Nothing is lost by any of it: what is not committed is never touched (`--autostash` is git's own, on request), and a
branch elsewhere is overwritten only where the caller asked for it, and only if it still is what was seen.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from devloop import errors
from devloop.argocd import git, gitref, upstream

REJECTED: Final = "DL1063"
CONFLICT: Final = "DL1065"

# Hooks of the user's run in these: tests, checks, signing.
_LONG_S: Final = 300.0
_MAX_NAMED: Final = 8


class Way(enum.StrEnum):
    """How upstream's commits are taken in."""

    REBASE = "rebase"
    MERGE = "merge"


class Pulled(msgspec.Struct, frozen=True):
    """What became of it.

    Attributes:
        way: How.
        before: The branch's commit before.
        after: And after.
        taken: How many commits of upstream it did not have.
    """

    way: Way
    before: str
    after: str
    taken: int


async def push(one: upstream.Checkout, *, force: bool = False, seen: str = "") -> str:
    """Push the branch, so that it tracks the one there, and return what the server said.

    Args:
        one: The checkout.
        force: Overwrite the branch there.
        seen: The commit that it is expected to have there, for `force`; empty for none.

    Raises:
        RefusedError: The branch there has commits that this one has not, or is protected.
        LocalError: The server cannot be reached or does not let this user in.
    """
    lease = [f"--force-with-lease=refs/heads/{one.branch}:{seen}"] if force else []
    name = f"refs/heads/{one.branch}"
    arguments = ["push", "--porcelain", *lease, "-u", one.pushes, f"{name}:{name}"]
    said = await git.run(arguments, one.top, timeout_s=_LONG_S)
    if said.status == 0:
        return said.complaint
    row = next((line for line in said.out.splitlines() if line.startswith("!")), "")
    if "non-fast-forward" in row or "fetch first" in row or "stale info" in row:
        raise errors.RefusedError(
            f"{one.pushes} has commits of {one.branch} that are not in yours",
            hint=f"take them in with `git -C {one.top} pull`; --force-with-lease overwrites them if you rebased",
            code=REJECTED,
        )
    if row:
        why = row.rpartition("[")[2].rstrip("]").strip()
        words = [line.removeprefix("remote:").strip() for line in said.complaint.splitlines() if "remote:" in line]
        more = "".join(f"; {each}" for each in words[:3] if each)
        raise errors.RefusedError(
            f"{one.pushes} does not take {one.branch}: {why}{more}",
            hint="a protected branch, or a rule of the repository; push under another name",
            code=REJECTED,
        )
    raise upstream.failed(arguments, said, one.top)


async def way_of(one: upstream.Checkout, there: str) -> Way:
    """Return how this user takes commits in: as git's configuration says, else so that no force is needed afterwards.

    Args:
        one: The checkout.
        there: The branch's commit where it is pushed to; empty where it is not.
    """
    for key in (f"branch.{one.branch}.rebase", "pull.rebase"):
        said = await upstream.line(one.top, "config", "--get", key)
        if said:
            return Way.MERGE if said in {"false", "no", "off", "0"} else Way.REBASE
    return Way.MERGE if there else Way.REBASE


async def pull(one: upstream.Checkout, branch: str, tip: str, way: Way, *, autostash: bool = False) -> Pulled:
    """Take upstream's commits into the branch.

    Args:
        one: The checkout.
        branch: Upstream's branch, for messages.
        tip: Its commit, which was fetched.
        way: How.
        autostash: Put away what is not committed, and bring it back.

    Raises:
        RefusedError: There are conflicts: git waits for a person.
        LocalError: git could not even begin.
    """
    missing = await upstream.line(one.top, "rev-list", "--count", f"{one.head}..{tip}", "--")
    taken = int(missing or 0)
    if not taken:
        return Pulled(way, one.head, one.head, 0)
    stash = ["--autostash" if autostash else "--no-autostash"]
    if way is Way.REBASE:
        arguments = ["rebase", *stash, tip]
    else:
        words = f"Merge branch '{branch}' of {one.remotes[one.upstream]} into {one.branch}"
        arguments = ["merge", "--no-edit", *stash, "-m", words, tip]
    said = await git.run(arguments, one.top, timeout_s=_LONG_S)
    now = await upstream.look(one.top, one.upstream)
    if now.waiting:
        raise await _conflict(now, branch, way)
    if said.status != 0:
        raise upstream.failed(arguments, said, one.top)
    if autostash and "conflicts" in f"{said.out}{said.complaint}":
        raise errors.RefusedError(
            "upstream's commits are in, but what you had not committed does not fit onto them",
            hint=f"git keeps it: `git -C {one.top} stash pop` brings it back, with conflicts to resolve",
            code=CONFLICT,
        )
    return Pulled(way, one.head, now.head, taken)


async def _conflict(now: upstream.Checkout, branch: str, way: Way) -> errors.RefusedError:
    told = await upstream.line(now.top, "diff", "--name-only", "--diff-filter=U")
    paths = told.splitlines()
    more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
    where = f": {', '.join(paths[:_MAX_NAMED])}{more}" if paths else ""
    git_ = f"git -C {now.top}"
    return errors.RefusedError(
        f"your branch and {now.upstream}/{branch} changed the same lines{where}",
        hint=f"resolve them, then `{git_} add` them and `{git_} {way} --continue`; `{git_} {way} --abort` goes back",
        code=CONFLICT,
    )


def follows(repo: str, revision: str, one: upstream.Checkout) -> bool:
    """Say whether a source of an Application follows the branch where it is pushed to.

    Args:
        repo: The source's `repoURL`.
        revision: Its `targetRevision`.
        one: The checkout.
    """
    return revision == one.branch and gitref.same(repo, one.remotes[one.pushes])
