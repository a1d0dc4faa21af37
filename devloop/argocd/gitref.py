"""Repositories as Argo CD and git name them: whether two URLs are one repository, and where its pages are.

Pure. A repository has many names: `git@github.com:org/shop.git`, `ssh://git@github.com/org/shop`, `https://github.com/Org/shop`.
Hosts are compared without case; paths too, as the large forges do.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

# git's short form of ssh, `[user@]host:path`; a scheme or a drive's letter is none (gitrevisions(7), git-clone(1)).
_SCP: Final = re.compile(r"(?:[^@/:]+@)?(?P<host>\[[^\]]+\]|[^/:@]{2,}):(?P<path>(?!//).+)")

_SHA: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Repository(msgspec.Struct, frozen=True):
    """One repository.

    Attributes:
        host: Of its server, with a port where one is written; empty for a folder.
        path: On the server, without slashes around it and without `.git`.
    """

    host: str
    path: str


def parse(url: str) -> Repository:
    """Return what repository a URL means; what is none of the known forms is a path."""
    text = url.strip()
    if "://" in text:
        parts = urlsplit(text)
        host = "" if parts.scheme == "file" else parts.netloc.rpartition("@")[2]
        return Repository(_without_port(host, parts.scheme), _path(parts.path))
    short = _SCP.fullmatch(text)
    if short is not None:
        return Repository(short["host"].lower(), _path(short["path"]))
    return Repository("", _path(text))


def same(one: str, other: str) -> bool:
    """Say whether two URLs are one repository."""
    first, second = parse(one), parse(other)
    if not first.host and not second.host:
        return first.path == second.path
    return (first.host, first.path.lower()) == (second.host, second.path.lower())


def is_commit(revision: str) -> bool:
    """Say whether a revision is a commit's whole name, of sha1 or sha256."""
    return _SHA.fullmatch(revision) is not None


def short(revision: str) -> str:
    """Return a revision as people read it: of a commit the first characters."""
    return revision[:8] if is_commit(revision) else revision


def _path(path: str) -> str:
    return path.strip("/").removesuffix(".git").rstrip("/")


def _without_port(host: str, scheme: str) -> str:
    standard = {"https": ":443", "http": ":80", "ssh": ":22", "git": ":9418"}.get(scheme, "")
    lowered = host.lower()
    return lowered.removesuffix(standard) if standard else lowered
