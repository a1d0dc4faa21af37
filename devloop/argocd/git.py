"""The user's own git, for what devloop does to templates: asked and told with a deadline, never for a password.

Runs as a subprocess of this process, in a folder of the user's, with the user's configuration and credentials. Reading
where it stands is `devloop.fs.gitrepo`'s business; here are the commands that talk to other repositories.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import Final

import msgspec

from devloop import errors
from devloop.argocd import gitref
from devloop.fs import gitrepo

TIMEOUT_S: Final = 30.0
"""A forge answers within a second or two; a login that waits for a person would wait for ever."""

CODE: Final = "DL1024"

# ssh asks on the terminal, whatever git is told.
_SSH: Final = "ssh -o BatchMode=yes -o ConnectTimeout=10"


class Said(msgspec.Struct, frozen=True):
    """What git said.

    Attributes:
        status: Its exit status.
        out: What it printed.
        complaint: What it complained, for people.
    """

    status: int
    out: str
    complaint: str


async def run(arguments: Sequence[str], folder: str = "", *, timeout_s: float = TIMEOUT_S) -> Said:
    """Run git to its end; its exit status is no error.

    Cancellation: git is killed.

    Args:
        arguments: Without the program.
        folder: Where; empty for no repository in particular.
        timeout_s: For all of it.

    Raises:
        LocalError: There is no git, or it does not end in time.
    """
    environment = gitrepo.environment()
    environment.setdefault("GIT_SSH_COMMAND", _SSH)
    try:
        process = await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            cwd=folder or os.sep,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise errors.LocalError(f"git cannot be run: {error.strerror}", hint="install git", code=CODE) from None
    try:
        async with asyncio.timeout(timeout_s):
            out, complaint = await process.communicate()
    except TimeoutError:
        raise errors.LocalError(
            f"git {arguments[0]} did not end within {timeout_s:g} s",
            hint="run it by hand: it may wait for a login, or the server be away",
            code=CODE,
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(errors="replace"), complaint.decode(errors="replace").strip())


async def remotes(folder: str) -> dict[str, str]:
    """Return a checkout's remotes: name to URL, `origin` first; empty where the folder is no checkout."""
    said = await run(["config", "--get-regexp", r"^remote\..*\.url$"], folder)
    found: dict[str, str] = {}
    for line in said.out.splitlines() if said.status == 0 else ():
        key, _, url = line.partition(" ")
        found[key.removeprefix("remote.").removesuffix(".url")] = url
    return dict(sorted(found.items(), key=lambda each: each[0] != "origin"))


async def address(folder: str, remote: str) -> str:
    """Return the address of a remote as people would write it in full: `url.….insteadOf` also makes abbreviations."""
    written = (await remotes(folder)).get(remote, "")
    if "." in gitref.parse(written).host:
        return written
    said = await run(["remote", "get-url", "--", remote], folder)
    return said.out.strip() if said.status == 0 else written


async def commit_of(url: str, revision: str, folder: str = "") -> str:
    """Return the commit that a branch or tag of a repository points to; empty where there is none of that name.

    Args:
        url: The repository.
        revision: A branch, a tag, or a whole commit, which is not looked for.
        folder: A checkout whose configuration and credentials count; empty for the user's own alone.

    Raises:
        LocalError: The repository cannot be asked.
    """
    if url.startswith("-") or revision.startswith("-"):
        return ""
    wanted = [f"refs/heads/{revision}", f"refs/tags/{revision}", f"refs/tags/{revision}^{{}}"]
    said = await run(["ls-remote", "--", url, *(["HEAD"] if revision == "HEAD" else wanted)], folder)
    if said.status != 0:
        raise errors.LocalError(
            f"git cannot ask {url}: {_last(said.complaint)}",
            hint="check your login there: `git ls-remote` with this address tells when it works",
            code=CODE,
        )
    rows = {name: commit for commit, _, name in (line.partition("\t") for line in said.out.splitlines())}
    # of an annotated tag the commit counts, which git lists with a suffix
    return next((rows[name] for name in ("HEAD", wanted[0], wanted[2], wanted[1]) if name in rows), "")


def _last(complaint: str) -> str:
    lines = [line.removeprefix("fatal: ").removeprefix("remote: ") for line in complaint.splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
