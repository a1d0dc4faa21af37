"""The page of a forge that opens a pull request, and what `gh` and `glab` are told to open one.

Pure. The forms of the pages are those that the forges print when a branch is pushed, or document: GitHub's
"Using query parameters to create a pull request", GitLab's `merge_request[…]`, Gitea's and Forgejo's `compare`,
Bitbucket's `pull-requests/new` in the cloud and `pull-requests?create` on a server.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Sequence
from typing import Final

import msgspec

from devloop.argocd import forges, gitref

_ADDRESS: Final = re.compile(r"https?://[^\s<>\"']+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Proposal(msgspec.Struct, frozen=True):
    """What is proposed.

    Attributes:
        upstream: The address of the repository that it is proposed to.
        fork: The address of the repository that the branch is in; the same one where there is no fork.
        branch: The branch.
        base: The branch that it is to be merged into.
        title: Its title.
        body: What it says.
        draft: It is not ready to be merged.
    """

    upstream: str
    fork: str
    branch: str
    base: str
    title: str
    body: str = ""
    draft: bool = False

    @property
    def is_fork(self) -> bool:
        """Whether the branch is in another repository."""
        return not gitref.same(self.upstream, self.fork)


def page(what: Proposal) -> str:
    """Return the page that opens a pull request with everything filled in that the forge takes.

    Returns:
        The address; the repository's own page where the forge is not known, and empty where it has none.
    """
    above, below = forges.repository(what.upstream), forges.repository(what.fork)
    if above is None or below is None:
        return ""
    if _host(what.upstream) != _host(what.fork):
        return above.page
    base = _part(what.base)
    match above.forge:
        case forges.Forge.GITHUB:
            asked = _query(("expand", "1"), ("title", what.title), ("body", what.body))
            return f"{above.page}/compare/{base}...{_head(what, ':')}{asked}"
        case forges.Forge.GITLAB:
            title = f"Draft: {what.title}" if what.draft and what.title else what.title
            return f"{below.page}/-/merge_requests/new" + _query(
                ("merge_request[source_branch]", what.branch),
                ("merge_request[target_branch]", what.base),
                ("merge_request[title]", title),
                ("merge_request[description]", what.body),
            )
        case forges.Forge.GITEA:
            return f"{above.page}/compare/{base}...{_head(what, '/')}"
        case forges.Forge.BITBUCKET:
            target = f"{gitref.parse(what.upstream).path}::{what.base}"
            return f"{below.page}/pull-requests/new" + _query(("source", what.branch), ("dest", target), ("t", "1"))
        case forges.Forge.BITBUCKET_SERVER:
            refs = _query(("sourceBranch", f"refs/heads/{what.branch}"), ("targetBranch", f"refs/heads/{what.base}"))
            return f"{below.page}/pull-requests?create&{refs.removeprefix('?')}"
        case _:
            return above.page


def told_by(forge: str, complaint: str) -> str:
    """Return the page that a forge named when the branch was pushed; empty where it named none.

    Args:
        forge: The address that was pushed to: only a page of the same host is believed.
        complaint: What git told of the push, the server's words as `remote: …`.
    """
    home = _host(forge)
    for line in complaint.splitlines():
        found = _ADDRESS.search(line) if line.startswith("remote:") else None
        if found is None or _CONTROL.search(found[0]):
            continue
        try:
            host = urllib.parse.urlsplit(found[0]).hostname
        except ValueError:
            continue
        if home and host == home:
            return found[0]
    return ""


def gh(what: Proposal) -> list[str]:
    """Return the command that opens it on GitHub: `gh help pr create`."""
    head = f"{_owner(what.fork)}:{what.branch}" if what.is_fork else what.branch
    return [
        "gh",
        "pr",
        "create",
        f"--repo={_qualified(what.upstream)}",
        f"--head={head}",
        f"--base={what.base}",
        f"--title={what.title}",
        f"--body={what.body}",
        *(["--draft"] if what.draft else []),
    ]


def glab(what: Proposal) -> list[str]:
    """Return the command that opens it on GitLab: `glab mr create --help`."""
    return [
        "glab",
        "mr",
        "create",
        "--yes",
        f"--repo={_web(what.upstream)}",
        *([f"--head={gitref.parse(what.fork).path}"] if what.is_fork else []),
        f"--source-branch={what.branch}",
        f"--target-branch={what.base}",
        f"--title={what.title}",
        f"--description={what.body}",
        *(["--draft"] if what.draft else []),
    ]


def title_of(subjects: Sequence[str], branch: str) -> tuple[str, str]:
    """Return a title and a text for some commits: of a single one its subject, else the branch's name and a list.

    Args:
        subjects: The commits' first lines, the oldest first.
        branch: The branch.
    """
    if len(subjects) == 1:
        return subjects[0], ""
    words = re.sub(r"[-_]+", " ", branch.rpartition("/")[2]).strip()
    return words[:1].upper() + words[1:] or branch, "\n".join(f"- {each}" for each in subjects)


def address_in(text: str) -> str:
    """Return the last web address in what a program printed, which is how `gh` and `glab` tell what they opened."""
    found = _ADDRESS.findall(text)
    return found[-1].rstrip(".,)") if found else ""


def _head(what: Proposal, between: str) -> str:
    """Return the branch as `compare` names it: with its owner, and with a fork's name where that is another."""
    if not what.is_fork:
        return _part(what.branch)
    name, above = _name(what.fork), _name(what.upstream)
    whose = _part(_owner(what.fork)) + (f"{between}{_part(name)}" if name.lower() != above.lower() else "")
    return f"{whose}:{_part(what.branch)}"


def _owner(address: str) -> str:
    return gitref.parse(address).path.rpartition("/")[0].rpartition("/")[2]


def _name(address: str) -> str:
    return gitref.parse(address).path.rpartition("/")[2]


def _qualified(address: str) -> str:
    """Return `HOST/OWNER/NAME`, which gh takes for every host."""
    return f"{_host(address)}/{gitref.parse(address).path}"


def _host(address: str) -> str:
    """Return a repository's host without a port, which differs between the ways to one server."""
    return gitref.parse(address).host.partition(":")[0]


def _web(address: str) -> str:
    found = forges.repository(address)
    return found.page if found is not None else address


def _part(text: str) -> str:
    return urllib.parse.quote(text, safe="/~")


def _query(*pairs: tuple[str, str]) -> str:
    said = urllib.parse.urlencode([pair for pair in pairs if pair[1]], quote_via=urllib.parse.quote)
    return f"?{said}" if said else ""
