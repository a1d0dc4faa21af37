"""`devloop logs`: what the containers of the services print, followed across restarts and replaced pods."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

import click

from devloop import errors
from devloop.cli import options, project, readlogs
from devloop.logs import chosen, stamps

_HELP: Final = """\
Show what the services' pods print: every container of every pod, in the order of time, each line with its pod in front
where there are several.

With --follow it goes on when containers restart and pods are replaced; nothing is shown twice, and what cannot be read
any more is said. Needs no watching devloop. What an app on this machine printed is shown from the watch's own log.

\b
devloop logs web --since 5m --grep 'ERROR|WARN'
devloop logs -f --pretty
devloop logs web --previous --tail 50
"""


@click.command("logs", cls=options.Verb, formats=("text", "json"), help=_HELP)
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=project.complete_services)
@click.option("-f", "--follow", is_flag=True, help="Go on, until Ctrl-C.")
@click.option("--since", default="", metavar="AGE|TIME", help="From then on: 5m, 1h30m, 10:15, 2026-05-01T10:15Z.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last lines of each container.")
@click.option("--grep", multiple=True, metavar="RE", help="Only lines in which this is found; may be repeated.")
@click.option("--exclude", multiple=True, metavar="RE", help="No lines in which this is found; may be repeated.")
@click.option("-c", "--container", "containers", multiple=True, metavar="NAME", help="Only this; may be repeated.")
@click.option("-p", "--previous", is_flag=True, help="The run before the last restart.")
@click.option("--timestamps", is_flag=True, help="Put the time in front, as the node wrote it.")
@click.option("--pretty", is_flag=True, help="Show lines that are JSON for people.")
@click.option("--prefix", is_flag=True, help="Put the pod in front, also where there is only one.")
@click.option("--leashed", is_flag=True, hidden=True, help="End with standard input, and give way to others.")
@options.pass_settings
def command(
    settings: options.Settings,
    services: tuple[str, ...],
    follow: bool,
    since: str,
    tail: int | None,
    grep: tuple[str, ...],
    exclude: tuple[str, ...],
    containers: tuple[str, ...],
    previous: bool,
    timestamps: bool,
    pretty: bool,
    prefix: bool,
    leashed: bool,
) -> None:
    """Show logs."""
    if follow and previous:
        raise errors.UsageError("--follow and --previous exclude each other", hint="a run that has ended says no more")
    wanted = chosen.parse(grep, exclude)
    if since:
        stamps.parse_since(since, time.time())
    loaded = project.loaded(settings)
    asked = readlogs.Asked(
        services=project.check_services(loaded, services),
        follow=follow,
        since=since,
        tail=tail,
        containers=containers,
        previous=previous,
        leashed=leashed,
    )
    screen = readlogs.Screen(settings, wanted, prefix=prefix, timestamps=timestamps, pretty=pretty)
    asyncio.run(readlogs.Logs(settings, loaded, asked, screen).run())
    if screen.is_gone:
        # As every verb does whose reader has left: nothing is said, and the status is that of a write that failed.
        raise BrokenPipeError(os.strerror(32))
