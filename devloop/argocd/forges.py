"""Web pages of a repository, by the address that git uses and the forge that it is on.

Pure. A host is taken for a forge by its name only, as `gitlab.example.com`; for any other host there is the
repository's own page and nothing deeper, since a guessed path would lead nowhere.
"""

from __future__ import annotations

import enum
import re
import urllib.parse
from typing import Final

import msgspec

_SCP: Final = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:]+):(?P<path>[^/].*)")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Forge(enum.StrEnum):
    """Who serves repositories."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    BITBUCKET = "bitbucket"
    BITBUCKET_SERVER = "bitbucket-server"
    UNKNOWN = "unknown"


class Repository(msgspec.Struct, frozen=True):
    """A repository on the web.

    Attributes:
        forge: On what.
        page: Its own page, without a slash at the end.
    """

    forge: Forge
    page: str


def repository(address: str) -> Repository | None:
    """Return the web page of a repository, or None where it is on no web server: a folder, a registry.

    Args:
        address: A `repoURL`, or a remote's address: https, ssh, or `git@host:path`. Logins in it are left out.
    """
    text = address.strip()
    found = _SCP.fullmatch(text) if "://" not in text else None
    if found is not None:
        scheme, host, path = "ssh", found["host"], found["path"]
    else:
        try:
            parts = urllib.parse.urlsplit(text)
            scheme, path = parts.scheme.lower(), parts.path
            host = _host(parts.hostname or "", parts.port if scheme in {"http", "https"} else None)
        except ValueError:
            return None
    if scheme not in {"http", "https", "ssh", "git"} or not host:
        return None
    page = "/".join(part for part in path.removesuffix("/").removesuffix(".git").split("/") if part)
    base = f"{'http' if scheme == 'http' else 'https'}://{host.lower()}"
    forge = _forge(host.lower(), page)
    if forge is Forge.BITBUCKET_SERVER:
        project, _, name = page.removeprefix("scm/").partition("/")
        where = f"users/{project[1:]}" if project.startswith("~") else f"projects/{project}"
        return Repository(forge, f"{base}/{_quoted(where)}/repos/{_quoted(name)}")
    return Repository(forge, f"{base}/{_quoted(page)}") if page else None


def at(address: str, revision: str, path: str = "") -> str:
    """Return the page of a folder or file at a revision; the repository's own where the forge is not known.

    Args:
        address: See `repository`.
        revision: A commit, a branch or a tag; empty for the default branch.
        path: Relative to the repository's top.

    Returns:
        The address; empty where the repository is on no web server.
    """
    found = repository(address)
    if found is None:
        return ""
    where, rev = _quoted(path.strip("/")), _quoted(revision or "HEAD")
    below = f"/{where}" if where and where != "." else ""
    match found.forge:
        case Forge.GITHUB:
            return f"{found.page}/tree/{rev}{below}"
        case Forge.GITLAB:
            return f"{found.page}/-/tree/{rev}{below}"
        case Forge.GITEA:
            if not revision or revision == "HEAD":
                return found.page if not below else f"{found.page}/src{below}"
            kind = "commit" if _COMMIT.fullmatch(revision) else "branch"
            return f"{found.page}/src/{kind}/{rev}{below}"
        case Forge.BITBUCKET:
            return f"{found.page}/src/{rev}{below}"
        case Forge.BITBUCKET_SERVER:
            return f"{found.page}/browse{below}" + (f"?at={urllib.parse.quote(revision, safe='')}" if revision else "")
        case _:
            return found.page


def _host(name: str, port: int | None) -> str:
    shown = f"[{name}]" if ":" in name else name
    return f"{shown}:{port}" if port is not None else shown


def _forge(host: str, page: str) -> Forge:
    if host == "bitbucket.org":
        return Forge.BITBUCKET
    if "bitbucket" in host or page.startswith("scm/"):
        return Forge.BITBUCKET_SERVER
    words = (
        ("github", Forge.GITHUB),
        ("gitlab", Forge.GITLAB),
        ("gitea", Forge.GITEA),
        ("forgejo", Forge.GITEA),
        ("codeberg.org", Forge.GITEA),
    )
    return next((forge for word, forge in words if word in host), Forge.UNKNOWN)


def _quoted(path: str) -> str:
    return urllib.parse.quote(path, safe="/@:+~")
