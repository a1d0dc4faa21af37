"""`devloop flush`: wait until what is saved now is in every target."""

from __future__ import annotations

import click

from devloop.cli import asking, options, output, project


@click.command("flush", cls=options.Verb, formats=("text", "json", "yaml"))
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=project.complete_services)
@click.option("--timeout", "timeout_s", default=30.0, show_default=True, help="Seconds to wait at the most.")
@options.pass_settings
def command(settings: options.Settings, services: tuple[str, ...], timeout_s: float) -> int:
    """Return when the targets have everything that was saved before.

    Ends with status 0 when every service is in sync, and 3 when something cannot be synced, is held, or took too long.
    """
    args = {"services": services, "timeout_s": timeout_s}
    states = asking.ask(settings, "flush", args, timeout_s=timeout_s + 10.0)
    output.result(settings, states, text="\n".join(f"{name}: {state}" for name, state in states.items()))
    return int(asking.exit_of(list(states.values())))
