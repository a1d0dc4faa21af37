"""Whether an AppProject lets an Application have a source, as Argo CD itself decides it.

Pure. The rules and the forms of URLs are those of `IsSourcePermitted` and `NormalizeGitURL` of argoproj/argo-cd: one
pattern must match, and none that begins with `!` may; `*` stands for part of one path element, `**` for more, and a
lone `*` for everything.
"""

from __future__ import annotations

import re
from typing import Final

from devloop.argocd import application

# sshURLRegex of `util/git/git.go`.
_SSH: Final = re.compile(r"^(?:ssh://)?(?:[^/:]*?)@[^@]+$")


def allows(project: application.Raw, repo: str) -> bool:
    """Say whether a project lets its Applications have a repository.

    Args:
        project: The AppProject.
        repo: The URL.
    """
    wanted = _normal(repo)
    found = False
    for each in application.items(application.mapping(project, "spec"), "sourceRepos"):
        pattern = str(each)
        if pattern.startswith("!"):
            if _matches(_normal(pattern[1:]), wanted):
                return False
        elif _matches(_normal(pattern), wanted):
            found = True
    return found


def _normal(url: str) -> str:
    text = url.strip().lower()
    if _SSH.match(text) and not text.startswith("ssh://"):
        text = text.replace(":", "/", 1)
    return text.removesuffix(".git").removeprefix("ssh://")


def _matches(pattern: str, text: str) -> bool:
    return pattern == "*" or _expression(pattern).fullmatch(text) is not None


def _expression(pattern: str) -> re.Pattern[str]:
    """Return a glob as an expression; `*` and `?` stay within a path element, `**` does not."""
    parts = []
    rest = pattern
    while rest:
        found = re.match(r"\*\*|\*|\?|\[!?[^\]]+\]|\{[^{}]*\}|[^*?\[{]+|.", rest, re.DOTALL)
        assert found is not None, "the last alternative takes any character"
        piece, rest = found[0], rest[found.end() :]
        if piece == "**":
            parts.append(".*")
        elif piece == "*":
            parts.append("[^/]*")
        elif piece == "?":
            parts.append("[^/]")
        elif len(piece) > 2 and piece[0] == "[":
            inner = piece[1:-1]
            parts.append(f"[{'^' + re.escape(inner[1:]) if inner[0] == '!' else re.escape(inner)}]")
        elif len(piece) > 1 and piece[0] == "{":
            parts.append("(?:" + "|".join(re.escape(each) for each in piece[1:-1].split(",")) + ")")
        else:
            parts.append(re.escape(piece))
    return re.compile("".join(parts), re.DOTALL)
