"""`devloop approve`: let held deletions go."""

from __future__ import annotations

import click

from devloop.cli import asking, options, output, project


@click.command("approve", cls=options.Verb)
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=project.complete_services)
@options.pass_settings
def command(settings: options.Settings, services: tuple[str, ...]) -> None:
    """Let deletions go that are held because there are many, and take a replaced folder as the right one."""
    approved = asking.ask(settings, "approve", {"services": services})["approved"]
    output.human(settings, f"approved {approved} deletions" if approved else "nothing was held")
