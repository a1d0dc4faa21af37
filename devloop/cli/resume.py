"""`devloop resume`: go on after `devloop pause`."""

from __future__ import annotations

import click

from devloop.cli import asking, options, output


@click.command("resume", cls=options.Verb)
@options.pass_settings
def command(settings: options.Settings) -> None:
    """Go on sending after `devloop pause`."""
    asking.ask(settings, "resume")
    output.human(settings, "resumed")
