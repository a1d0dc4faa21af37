"""`devloop wait`: for scripts that start after `devloop watch`."""

from __future__ import annotations

import time

import click

from devloop import errors
from devloop.cli import asking, options, output, project
from devloop.daemon import client


@click.command("wait", cls=options.Verb)
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=project.complete_services)
@click.option("--timeout", "timeout_s", default=60.0, show_default=True, help="Seconds to wait at the most.")
@options.pass_settings
def command(settings: options.Settings, services: tuple[str, ...], timeout_s: float) -> int:
    """Wait until somebody watches this project and the services are in sync.

    Unlike `flush` it may be called before `watch` is up.
    """
    until_s = time.monotonic() + timeout_s
    while True:
        left_s = until_s - time.monotonic()
        try:
            states = asking.ask(
                settings, "flush", {"services": services, "timeout_s": max(0.1, left_s)}, timeout_s=max(1.0, left_s + 5)
            )
        except client.NotWatchingError:
            if left_s <= 0:
                raise
            asking.pause(min(0.2, left_s))
            continue
        if asking.exit_of(list(states.values())) is errors.Exit.OK or left_s <= 0:
            break
        asking.pause(min(0.2, max(0.01, left_s)))
    output.human(settings, "\n".join(f"{name}: {state}" for name, state in states.items()))
    return int(asking.exit_of(list(states.values())))
