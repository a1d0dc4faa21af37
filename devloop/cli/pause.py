"""`devloop pause`: send nothing for a while."""

from __future__ import annotations

import click

from devloop.cli import asking, options, output


@click.command("pause", cls=options.Verb)
@options.pass_settings
def command(settings: options.Settings) -> None:
    """Send nothing until `devloop resume`; what changes meanwhile then goes as one batch."""
    asking.ask(settings, "pause")
    output.human(settings, "paused; go on with `devloop resume`")
