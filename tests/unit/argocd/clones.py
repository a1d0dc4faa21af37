"""Real repositories for tests: upstream's, a fork of it, the developer's checkout, and somebody else's."""

from __future__ import annotations

import subprocess
from pathlib import Path

_WHO = ("-c", "user.name=ann", "-c", "user.email=ann@example.com", "-c", "init.defaultBranch=main")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; it must succeed."""
    done = subprocess.run(["git", *_WHO, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Clones:
    """The repositories below a folder.

    Attributes:
        up: Upstream's, bare; `main` is its default branch.
        fork: The fork, bare.
        mine: The checkout, with the remotes `upstream` and `origin` (the fork), on the branch `feature/x`.
        other: A clone of upstream's on `main`, where others work.
    """

    def __init__(self, folder: Path) -> None:
        self.up, self.fork = folder / "up.git", folder / "fork.git"
        self.mine, self.other = folder / "mine", folder / "other"
        for bare in (self.up, self.fork):
            git(folder, "init", "-q", "--bare", "-b", "main", str(bare))
        git(folder, "clone", "-q", str(self.up), str(self.other))
        git(self.other, "switch", "-q", "-c", "main")
        self.commit(self.other, "web.yaml", "one\n")
        git(self.other, "push", "-q", "-u", "origin", "main")
        git(folder, "clone", "-q", "-o", "upstream", str(self.up), str(self.mine))
        git(self.mine, "remote", "add", "origin", str(self.fork))
        git(self.mine, "config", "user.name", "ann")
        git(self.mine, "config", "user.email", "ann@example.com")
        git(self.mine, "switch", "-q", "-c", "feature/x", "--no-track")

    def commit(self, where: Path, name: str, text: str, message: str = "") -> str:
        """Write a file, commit it, and return the commit."""
        (where / name).write_text(text)
        git(where, "add", name)
        git(where, "commit", "-q", "-m", message or f"Change {name}")
        return git(where, "rev-parse", "HEAD")

    def upstream(self, name: str, text: str) -> str:
        """Let somebody change a file of upstream's main."""
        made = self.commit(self.other, name, text)
        git(self.other, "push", "-q")
        return made

    def take(self, *how: str) -> None:
        """Let upstream take the branch of the fork: `merge --no-ff`, `merge --squash`, `cherry-pick`, …"""
        git(self.other, "pull", "-q", "--ff-only")
        git(self.other, "fetch", "-q", str(self.fork), "feature/x")
        git(self.other, *how, "FETCH_HEAD")
        if "--squash" in how:
            git(self.other, "commit", "-q", "-m", "all of it")
        git(self.other, "push", "-q")

    def head(self, branch: str = "feature/x", where: Path | None = None) -> str:
        """Return the commit of a branch; of the fork, unless another repository is named."""
        return git(where or self.fork, "rev-parse", f"refs/heads/{branch}")
