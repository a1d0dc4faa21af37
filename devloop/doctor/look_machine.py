"""Looks at this machine: Python, git, the limits of inotify, the folders that are synced, targets on this machine.

Reads the disk and asks git; changes nothing, and starts no agent. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

from devloop import errors
from devloop.config import load, model
from devloop.core import paths
from devloop.doctor import facts
from devloop.fs import gitrepo, ignore
from devloop.watch import backend, limits, select

# How long git may take for its version, and the count of all folders of a sync.
GIT_S: Final = 5.0
COUNT_S: Final = 10.0

# What an agent leaves in a folder on this machine to know it again (`agent.guard.MARKER`).
MARKER: Final = ".devloop/target.json"


def look(project: load.Project, services: Sequence[str]) -> facts.Machine:
    """Return the facts of this machine.

    Args:
        project: The project.
        services: Those whose folders are looked at.
    """
    bad = {(each.service, each.index): each.error for each in load.check_sources(project, services)}
    polled = project.config.watch.poll_s if project.config.watch.backend is model.Backend.POLLING else None
    return facts.Machine(
        python=sys.version_info[:3],
        system=sys.platform,
        git=_git(),
        watches=limits.allowed_watches(),
        instances=limits.allowed_instances(),
        folders=tuple(
            _folder(name, sync, os.path.relpath(sync.source, project.folder), bad.get((name, index)), polled)
            for name in services
            for index, sync in enumerate(project.config.services[name].sync)
        ),
    )


def _git() -> facts.Maybe[str]:
    try:
        done = subprocess.run(["git", "version"], capture_output=True, timeout=GIT_S, check=False)
    except FileNotFoundError:
        return facts.Unknown("git is not on PATH")
    except (OSError, subprocess.TimeoutExpired) as error:
        return facts.Unknown(f"git cannot be run: {error}")
    if done.returncode:
        return facts.Unknown(f"git cannot be run: exit status {done.returncode}")
    return done.stdout.decode("utf-8", "replace").strip()


def _folder(
    service: str, sync: model.Sync, label: str, error: errors.DevloopError | None, poll_s: float | None
) -> facts.Folder:
    if error is not None:
        return facts.Folder(service=service, label=label, error=error)
    choice = select.choose(sys.platform, os.path.realpath(sync.source), _mounts(), poll_s)
    rules = ignore.Ignore(sync.source, ignore=sync.ignore, include=sync.include)
    try:
        rules.load()
    except errors.DevloopError as trouble:
        return facts.Folder(service=service, label=label, error=trouble)
    none = rules.repo if isinstance(rules.repo, gitrepo.NoRepo) else None
    return facts.Folder(
        service=service,
        label=label,
        folders=_count(sync.source, rules),
        backend=choice.backend,
        why=choice.why,
        repo=none.detail if none is not None else "",
        repo_fix=none.hint if none is not None else "",
    )


def _mounts() -> list[select.Mount]:
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as listed:
            return select.parse_mounts(listed.read())
    except OSError:
        return []


def _count(root: str, rules: ignore.Ignore) -> facts.Maybe[int]:
    """Return how many folders below and with a root are watched."""
    deadline_s = time.monotonic() + COUNT_S
    pending, count = [""], 0
    while pending:
        if time.monotonic() > deadline_s:
            return facts.Unknown(f"more than {count:,} folders: counting them takes longer than {COUNT_S:.0f} s")
        folder = pending.pop()
        count += 1
        rules.enter(folder)
        names = backend.subfolders(f"{root}/{folder}", folder, lambda path: not rules.may_descend(path))
        pending += [paths.join(folder, name) for name in names]
    return count


def local(service: str, folder: str) -> facts.Local:
    """Return how a target on this machine is, without touching it.

    Args:
        service: The service.
        folder: Its target, absolute.
    """
    if os.path.isfile(os.path.join(folder, MARKER)):
        return facts.Local(service, folder, True, os.access(folder, os.W_OK | os.X_OK))
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return facts.Local(service, folder, False, os.access(_nearest(folder), os.W_OK | os.X_OK))
    except OSError:
        return facts.Local(service, folder, True, False)
    return facts.Local(service, folder, True, os.access(folder, os.W_OK | os.X_OK), foreign=bool(names))


def _nearest(folder: str) -> str:
    """Return the folder above that exists, in which the missing ones would be made."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return folder
