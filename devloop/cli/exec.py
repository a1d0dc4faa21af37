"""`devloop exec`: run a command where a service runs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import click

from devloop import errors
from devloop.cli import commanding, options, project

if TYPE_CHECKING:
    from devloop.config import model

_HELP: Final = """\
Run a command in a service's container, with this terminal, and end with its exit status.

\b
  devloop exec web -- python manage.py migrate
  devloop exec -i db -- psql < dump.sql

The newest ready pod of the service is taken; no watch needs to run. A signal that devloop gets, such as Ctrl-C, is
handed on to the command. For a target on this machine the command runs in the target's folder.
"""


@click.command("exec", cls=options.Verb, help=_HELP, options_metavar="[OPTIONS]")
@click.argument("service", metavar="SERVICE", shell_complete=project.complete_services)
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND…")
@click.option("-t/-T", "--tty/--no-tty", "tty", default=None, help="With a terminal, or not; by default as here.")
@click.option("-i", "--stdin", is_flag=True, help="Send standard input to it. A terminal always is.")
@click.option("--pod", metavar="NAME", default="", help="One of the service's pods.")
@click.option("-c", "--container", metavar="NAME", default="", help="A container of it; the service's by default.")
@options.pass_settings
def command(
    settings: options.Settings,
    service: str,
    words: tuple[str, ...],
    tty: bool | None,
    stdin: bool,
    pod: str,
    container: str,
) -> int:
    """Run it."""
    loaded = project.loaded(settings)
    _, spec = commanding.service_of(loaded, service)
    if spec.target is not None:
        return commanding.reported(lambda: _here(spec, words, pod or container))
    from devloop.shell import remote

    with_tty = commanding.wants_tty(tty)
    job = remote.Job(words, tty=with_tty, stdin=stdin or (with_tty and sys.stdin.isatty()))
    return commanding.reported(lambda: commanding.in_pod(settings, loaded, spec, job, pod=pod, container=container))


def _here(spec: model.Service, words: tuple[str, ...], pod_option: str) -> int:
    from devloop.shell import become

    if pod_option:
        raise errors.UsageError(
            "--pod and --container are for services in a cluster", hint="this one has its target on this machine"
        )
    become.become(become.in_target(spec, words, os.environ))
