"""`devloop status`: how the watching process of this project stands."""

from __future__ import annotations

import sys
import time

import click
import msgspec

from devloop.cli import asking, options, output
from devloop.sync import status as statuses


@click.command("status", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@options.pass_settings
def command(settings: options.Settings) -> int:
    """Show each service: in sync or not, why not, its target, its app, its problems.

    Ends with status 0 only when every service is in sync.
    """
    found = asking.ask(settings, "status")
    snapshot = msgspec.convert(found, statuses.ProjectStatus)
    text = ""
    if settings.output == "text":
        from devloop.ui import status as view

        text = view.render(snapshot, now_s=time.time(), color=settings.color_on(sys.stdout))
    output.result(settings, found, text=text, names=[service.name for service in snapshot.services])
    return int(asking.exit_of([service.state for service in snapshot.services]))
