"""`devloop shell`: a shell where a service runs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import click

from devloop import errors
from devloop.cli import commanding, options, project

if TYPE_CHECKING:
    from devloop.config import model

_HELP: Final = """\
Open a shell in a service's container, in the first synced folder.

It is the image's bash, else its sh, else devloop's own busybox where the pod has that (`reload: supervise`).
With one service in devloop.yaml it need not be named. Commands on standard input work too.
"""

# The shell that runs this is known to be there, bash is not.
_OWN: Final = ("sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh")


@click.command("shell", cls=options.Verb, help=_HELP, options_metavar="[OPTIONS]")
@click.argument("service", metavar="[SERVICE]", default="", shell_complete=project.complete_services)
@click.option("-t/-T", "--tty/--no-tty", "tty", default=None, help="With a terminal, or not; by default as here.")
@click.option("--pod", metavar="NAME", default="", help="One of the service's pods.")
@click.option("-c", "--container", metavar="NAME", default="", help="A container of it; the service's by default.")
@options.pass_settings
def command(settings: options.Settings, service: str, tty: bool | None, pod: str, container: str) -> int:
    """Open it."""
    loaded = project.loaded(settings)
    name, spec = commanding.service_of(loaded, service)
    if spec.target is not None:
        return commanding.reported(lambda: _here(spec))
    from devloop.shell import remote

    job = remote.Job(
        _OWN,
        lent=remote.LENT_SHELL,
        folder="" if container else spec.sync[0].to,
        tty=commanding.wants_tty(tty),
        stdin=True,
        is_shell=True,
    )
    try:
        return commanding.in_pod(settings, loaded, spec, job, pod=pod, container=container)
    except errors.NotRunError as error:
        if not error.missing:
            raise
        raise errors.NotRunError(
            f"the image of {name} has no shell",
            hint="with `reload: supervise` the pod gets devloop's busybox, which has one; `kubectl debug` attaches a "
            "container that has one to the pod as it is",
        ) from None


def _here(spec: model.Service) -> int:
    from devloop.shell import become

    shell = shutil.which("bash") or "sh"
    become.become(become.in_target(spec, (shell,), os.environ))
