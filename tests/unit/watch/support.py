"""What the tests of watching share: a sink that can be waited for, and own user namespaces."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from devloop.core import paths
from devloop.watch import backend, events

TIMEOUT_S = 20.0
_TOKENS = itertools.count()


class Recorder:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[events.Event] = []
        self._news = threading.Condition()

    def __call__(self, event: events.Event) -> None:
        with self._news:
            self.told.append(event)
            self._news.notify_all()

    def wait_for(self, wanted: Callable[[events.Event], bool]) -> None:
        """Wait until an event was told that is wanted."""
        with self._news:
            found = self._news.wait_for(lambda: any(map(wanted, self.told)), TIMEOUT_S)
        assert found, f"not told; but {self.told}"

    def sync(self, subject: backend.Backend) -> list[events.Event]:
        """Wait for everything that happened so far, return it, and start anew."""
        token = f"t{next(_TOKENS)}"
        subject.mark(token)
        self.wait_for(lambda event: event == events.Mark(token))
        with self._news:
            told, self.told = self.told, []
        assert not [event for event in told if isinstance(event, events.Failed)]
        return [event for event in told if event != events.Mark(token)]


def of(kind: type[events.Dirty | events.Vanished | events.Opened], told: list[events.Event]) -> set[str]:
    """Return all paths of the events of one kind."""
    return {path for event in told if isinstance(event, kind) for path in event.paths}


def rescans(told: list[events.Event]) -> dict[str, events.Reason]:
    """Return the rescanned folders and why."""
    return {event.path: event.reason for event in told if isinstance(event, events.Rescan)}


def covers(told: list[events.Event], path: str) -> bool:
    """Say whether somebody who looks where the events say finds the path."""
    if path in of(events.Dirty, told) | of(events.Opened, told):
        return True
    return any(paths.is_under(path, folder) for folder in rescans(told))


def in_namespace(setup: str, program: str, *arguments: str, mounts: bool = False) -> Any:
    """Run a program in a user namespace of its own, and return the JSON that it prints.

    Args:
        setup: Shell commands that run first, as that namespace's root.
        program: Python source.
        arguments: Its `sys.argv[1:]`.
        mounts: Give it a mount namespace too.
    """
    unshare = shutil.which("unshare")
    if sys.platform != "linux" or unshare is None:
        pytest.skip("needs unshare(1)")
    flags = "-Urm" if mounts else "-Ur"
    if subprocess.run([unshare, flags, "sh", "-c", setup], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow what the test needs in a user namespace of its own")
    run = subprocess.run(
        [unshare, flags, "sh", "-c", f'{setup}\nexec "$@"', "sh", sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * TIMEOUT_S,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
