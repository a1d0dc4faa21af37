"""The project that a verb is about: found and loaded by what the global options say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from devloop import errors
from devloop.cli import options
from devloop.config import discover

if TYPE_CHECKING:
    from devloop.config import load


def current_folder() -> str:
    """Return the current folder.

    Raises:
        LocalError: It was deleted, or may not be reached.
    """
    try:
        return os.getcwd()
    except OSError as error:
        raise errors.LocalError(
            f"the current folder cannot be used: {error.strerror}", hint="change to one that exists"
        ) from None


def find(settings: options.Settings) -> discover.Found:
    """Return the devloop.yaml that is meant.

    Raises:
        ConfigError: There is none.
        LocalError: The current folder is gone.
    """
    return discover.find(current_folder(), file=settings.file, home=os.path.realpath(os.path.expanduser("~")))


def loaded(settings: options.Settings) -> load.Project:
    """Return the project that is meant, loaded and checked.

    Raises:
        ConfigError: There is no devloop.yaml, or it is wrong.
    """
    # pydantic and YAML take a tenth of a second, which verbs that talk to a running devloop need not spend.
    from devloop.config import load

    found = find(settings)
    return load.load(found.file, shown=found.shown)


def check_services(project: load.Project, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of services as given, or all where none was.

    Raises:
        UsageError: The project has no service of that name.
    """
    known = list(project.config.services)
    for name in names:
        if name not in known:
            raise errors.UsageError(f"{project.config.name} has no service {name!r}", hint=options.meant(name, known))
    return names or tuple(known)


def complete_services(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the services that a half-written name may become; for `shell_complete=` of an argument."""
    try:
        project = loaded(ctx.ensure_object(options.Chosen).settings())
    except errors.DevloopError:
        return []  # While a word is completed there is nowhere to say what is wrong.
    return [name for name in project.config.services if name.startswith(incomplete)]
