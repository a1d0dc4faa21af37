"""`devloop events`: follow the watching process's event stream."""

from __future__ import annotations

import sys

import click

from devloop.cli import asking, options


@click.command("events", cls=options.Verb, formats=("json",))
@click.option("--recent", is_flag=True, help="Begin with the recent past.")
@options.pass_settings
def command(settings: options.Settings, recent: bool) -> None:
    """Print every event as a line of JSON, until the watching process ends."""
    for line in asking.client_of(settings).follow(recent=recent):
        sys.stdout.write(line.decode("utf-8", "replace") + "\n")
        sys.stdout.flush()
