"""Whether everything of a branch is in upstream's branch: by a merge, a fast-forward, a rebase or a squash.

Asks git, which changes nothing but that it may write a commit that no branch has, for comparing (the forge's own
merge has other commits than the branch, so what they change must be compared).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

from devloop.argocd import git, upstream

# Who wrote a commit that nobody will ever see does not matter, but git wants somebody.
_SOMEBODY: Final = ("-c", "user.name=devloop", "-c", "user.email=devloop@localhost", "-c", "commit.gpgSign=false")


class Standing(enum.StrEnum):
    """How a branch stands to upstream's."""

    AHEAD = "ahead"
    """It has something that upstream's has not."""
    EMPTY = "empty"
    """Nothing was committed to it."""
    MERGED = "merged"
    """Its commits are in upstream's."""
    SQUASHED = "squashed"
    """What its commits change is in upstream's, as other commits."""


async def standing(top: str, head: str, base: str, branch: str) -> Standing:
    """Return how a branch stands to upstream's.

    Args:
        top: The checkout.
        head: The branch's commit.
        base: The commit of upstream's branch, which was fetched.
        branch: The branch's name, whose reflog tells whether it ever was elsewhere.
    """
    if await _says(top, "merge-base", "--is-ancestor", head, base):
        return Standing.MERGED if await _was_elsewhere(top, head, base, branch) else Standing.EMPTY
    if await _adds_nothing(top, head, base) or await _is_picked(top, head, base):
        return Standing.SQUASHED
    return Standing.AHEAD


async def _was_elsewhere(top: str, head: str, base: str, branch: str) -> bool:
    """Say whether a branch, all of whose commits upstream has, ever had one of its own."""
    own = await upstream.line(top, "rev-list", "--first-parent", base, f"^{head}^@", "--")
    if head not in own.split():
        # upstream's own line goes past it: a merge brought it in
        return True
    told = await upstream.line(top, "reflog", "show", "--format=%gs", f"refs/heads/{branch}", "--")
    return any(row.startswith("commit") for row in told.splitlines())


async def _adds_nothing(top: str, head: str, base: str) -> bool:
    """Say whether merging the branch would change nothing: git-merge-tree(1), since git 2.38."""
    said = await git.run(["merge-tree", "--write-tree", base, head], top)
    return said.status == 0 and said.out.split("\n")[0] == await upstream.line(top, "rev-parse", f"{base}^{{tree}}")


async def _is_picked(top: str, head: str, base: str) -> bool:
    """Say whether upstream has commits that change the same: each of the branch, or one that has all of them.

    This holds as well where upstream has changed the same lines again since.
    """
    if _all_there(await upstream.line(top, "cherry", base, head)):
        return True
    fork = await upstream.line(top, "merge-base", base, head)
    if not fork:
        return False
    squashed = await upstream.line(top, *_SOMEBODY, "commit-tree", f"{head}^{{tree}}", "-p", fork, "-m", "all of it")
    return bool(squashed) and _all_there(await upstream.line(top, "cherry", base, squashed))


def _all_there(cherry: str) -> bool:
    """Read git-cherry(1): `-` before a commit that upstream has the like of, `+` before others."""
    rows: Sequence[str] = cherry.splitlines()
    return bool(rows) and all(row.startswith("-") for row in rows)


async def _says(top: str, *arguments: str) -> bool:
    return (await git.run(arguments, top)).status == 0
