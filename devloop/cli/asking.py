"""What the verbs have in common that ask the watching process of this project."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

from devloop import errors
from devloop.cli import options, project
from devloop.daemon import client
from devloop.state import dirs


def client_of(settings: options.Settings) -> client.Client:
    """Return the client of the project that is meant.

    Raises:
        ConfigError: There is no project here.
    """
    return client.Client(dirs.project(folder_of(settings)).socket)


def folder_of(settings: options.Settings) -> str:
    """Return the folder of the project that is meant."""
    return os.path.dirname(project.find(settings).file)


def ask(settings: options.Settings, verb: str, args: dict[str, Any] | None = None, *, timeout_s: float = 10.0) -> Any:
    """Ask the watching process; see `Client.ask`."""
    return client_of(settings).ask(verb, args, timeout_s=timeout_s)


def pause(seconds: float) -> None:
    """Wait a moment between two looks at another process."""
    threading.Event().wait(seconds)


def exit_of(states: Sequence[str]) -> errors.Exit:
    """Return the exit status that services' states mean."""
    return errors.Exit.OK if all(state == "in sync" for state in states) else errors.Exit.PARTIAL
