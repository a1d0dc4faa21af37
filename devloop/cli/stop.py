"""`devloop stop`: end the watching process of this project."""

from __future__ import annotations

import os
import signal
import time

import click

from devloop import errors
from devloop.cli import asking, options, output
from devloop.daemon import client
from devloop.state import dirs, lock

# How long the watching process may take to say that it heard.
ANSWER_TIMEOUT_S = 5.0

# Apps have their grace period, and agents theirs.
TIMEOUT_S = 30.0


@click.command("stop", cls=options.Verb)
@click.option("--force", is_flag=True, help="Kill it if it does not answer. Nothing is lost: the disk is the truth.")
@options.pass_settings
def command(settings: options.Settings, force: bool) -> int:
    """End the watching process of this project, and with it the local targets' apps."""
    return end(settings, force=force)


def end(settings: options.Settings, *, force: bool) -> int:
    """End the watching process, and return the exit status.

    Args:
        settings: Say which project is meant.
        force: Kill it if it does not answer.

    Raises:
        LocalError: It does not end.
    """
    places = dirs.project(asking.folder_of(settings))
    holder = lock.holder(places.lock)
    answers = True
    try:
        client.Client(places.socket).ask("stop", timeout_s=ANSWER_TIMEOUT_S)
    except errors.LocalError as error:
        if holder is None and isinstance(error, client.NotWatchingError):
            output.human(settings, "devloop was not watching this project")
            return int(errors.Exit.OK)
        if not force:
            raise
        answers = False
    if holder is not None and not (answers and _wait_gone(places.lock, holder.pid)):
        if not force:
            raise errors.LocalError(
                f"process {holder.pid} has not ended after {TIMEOUT_S:.0f} s",
                hint="end it with `devloop stop --force`",
            )
        _kill(places.lock, holder.pid)
    output.human(settings, "stopped")
    return int(errors.Exit.OK)


def _kill(path: str, pid: int) -> None:
    """Kill the process, if it still holds the lock: the number may be another's by now."""
    found = lock.holder(path)
    if found is None or found.pid != pid:
        return
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except OSError as error:
        raise errors.LocalError(f"process {pid} cannot be killed: {error.strerror}") from error


def _wait_gone(path: str, pid: int) -> bool:
    """Wait until the lock is free; say whether it is."""
    until_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until_s:
        found = lock.holder(path)
        if found is None or found.pid != pid:
            return True
        asking.pause(0.02)
    return False
