"""The forges' own command lines, `gh` and `glab`: used where they are installed and logged in, and never needed.

They run with the user's login, without a terminal, and with a deadline; what they need besides is never asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Sequence
from typing import Final

from devloop import errors
from devloop.argocd import forges, git, gitref, pullrequest

TIMEOUT_S: Final = 60.0

REFUSED: Final = "DL1066"

_THERE: Final = "already exists"


async def run(arguments: Sequence[str], folder: str, *, timeout_s: float = TIMEOUT_S) -> git.Said:
    """Run a program to its end; its exit status is no error. Cancellation: it is killed.

    Args:
        arguments: The program and what it is told.
        folder: Where.
        timeout_s: For all of it.

    Raises:
        LocalError: It cannot be run, or does not end in time.
    """
    quiet = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "NO_PROMPT": "1", "NO_COLOR": "1", "PAGER": "cat"}
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            cwd=folder,
            env={**os.environ, **quiet},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise errors.LocalError(f"{arguments[0]} cannot be run: {error.strerror}", code=REFUSED) from None
    try:
        async with asyncio.timeout(timeout_s):
            out, complaint = await process.communicate()
    except TimeoutError:
        raise errors.LocalError(
            f"{arguments[0]} did not end within {timeout_s:g} s", hint="run it by hand", code=REFUSED
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    assert process.returncode is not None
    return git.Said(process.returncode, out.decode(errors="replace"), complaint.decode(errors="replace").strip())


async def usable(address: str, folder: str) -> str:
    """Return which of them can open a pull request: installed, and logged in to the repository's host.

    Args:
        address: The repository's.
        folder: Where to run them.

    Returns:
        `gh`, `glab`, or an empty text.
    """
    found = forges.repository(address)
    if found is None:
        return ""
    likely = {forges.Forge.GITHUB: ("gh",), forges.Forge.GITLAB: ("glab",), forges.Forge.UNKNOWN: ("gh", "glab")}
    host = gitref.parse(address).host.partition(":")[0]
    for name in likely.get(found.forge, ()):
        if shutil.which(name) is None:
            continue
        with contextlib.suppress(errors.LocalError):
            if (await run([name, "auth", "status", "--hostname", host], folder)).status == 0:
                return name
    return ""


async def opened(name: str, what: pullrequest.Proposal, folder: str) -> tuple[str, bool]:
    """Open a pull request, and return its address and whether it was open already.

    Args:
        name: `gh` or `glab`.
        what: What is proposed.
        folder: The checkout.

    Raises:
        LocalError: It was refused, with the forge's words.
    """
    said = await run(pullrequest.gh(what) if name == "gh" else pullrequest.glab(what), folder)
    if said.status == 0:
        return pullrequest.address_in(f"{said.complaint}\n{said.out}"), False
    words = f"{said.complaint}\n{said.out}".strip()
    if _THERE in words:
        return pullrequest.address_in(words), True
    first = next((line.strip() for line in words.splitlines() if line.strip()), f"exit status {said.status}")
    raise errors.LocalError(
        f"{name} could not open the pull request: {first}",
        hint="the branch is pushed; --print tells the page that opens one",
        code=REFUSED,
    )
