"""`devloop restart`: restart an app in place."""

from __future__ import annotations

import click

from devloop.cli import asking, options, output, project


@click.command("restart", cls=options.Verb)
@click.argument("services", nargs=-1, required=True, metavar="SERVICE…", shell_complete=project.complete_services)
@options.pass_settings
def command(settings: options.Settings, services: tuple[str, ...]) -> None:
    """Restart a service's app in place: TERM, its grace period, KILL, start."""
    asking.ask(settings, "restart", {"services": services})
    output.human(settings, f"restarting {', '.join(services)}")
