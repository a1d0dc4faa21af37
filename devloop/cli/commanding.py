"""What `exec`, `shell` and `run` have in common: the service that is meant, the streams, the exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from devloop import errors
from devloop.cli import errors as cli_errors
from devloop.cli import options, output, project

if TYPE_CHECKING:
    from devloop.config import load, model
    from devloop.shell import remote


def service_of(loaded: load.Project, name: str) -> tuple[str, model.Service]:
    """Return the service that is meant: the named one, or the only one.

    Raises:
        UsageError: There is none of this name, or there are several and none was named.
    """
    services = loaded.config.services
    if not name and len(services) == 1:
        name = next(iter(services))
    if not name:
        listed = ", ".join(services) or "none; add one under `services:`"
        raise errors.UsageError("which service is meant?", hint=f"devloop.yaml has {listed}")
    project.check_services(loaded, (name,))
    return name, services[name]


def sayer(settings: options.Settings) -> Callable[[str], None]:
    """Return what tells people a line, on stderr."""
    return lambda line: output.human(settings, output.clean(f"devloop: {line}"))


def wants_tty(choice: bool | None) -> bool:
    """Say whether a command gets a terminal: as was said, else where both ends here are one."""
    return (sys.stdin.isatty() and sys.stdout.isatty()) if choice is None else choice


def reported(run: Callable[[], int]) -> int:
    """Run something that ends with a command's status; one that was not started is 127 or 126, as in a shell.

    Raises:
        DevloopError: All that is not about the command itself.
    """
    try:
        return run()
    except errors.NotRunError as error:
        status = cli_errors.report(error, click.get_current_context().ensure_object(options.Chosen))
        return 127 if error.missing else max(status, 126)


def in_pod(
    settings: options.Settings,
    loaded: load.Project,
    spec: model.Service,
    job: remote.Job,
    *,
    pod: str = "",
    container: str = "",
) -> int:
    """Run a command in a service's container, and return its exit status.

    Raises:
        ClusterError: It could not be run, or the connection was cut.
    """
    import asyncio

    from devloop.cli import clustered
    from devloop.shell import find, remote

    say = sayer(settings)

    async def run() -> int:
        async with clustered.connection(settings, loaded) as api:
            found = await find.find(api, spec, say, pod=pod, container=container)
            output.human(settings, f"devloop: {found.where.pod}, container {found.where.container}", verbosity=1)
            return await remote.run(api, found, job, remote.Console(say))

    return asyncio.run(run())
