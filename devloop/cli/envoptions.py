"""Options that several verbs of `devloop env` have. Imports nothing but click, so that `--help` stays fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def applications(function: F) -> F:
    """Give a verb its Applications: `[APPLICATION]…`, each as NAME or NAMESPACE/NAME; parameter `applications`."""
    return click.argument("applications", nargs=-1, metavar="[APPLICATION]…")(function)
