"""`devloop watch`: the dev loop itself.

In the foreground it is the watching process. Where another one watches the project already, it joins that: it shows
the same events, and ending it ends only the showing. With `--detach` it starts one in the background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from devloop import errors
from devloop.cli import options, project
from devloop.cli import watching as shells
from devloop.daemon import app

if TYPE_CHECKING:
    from devloop.config import load


@click.command("watch", cls=options.Verb, formats=("text", "json"))
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=project.complete_services)
@click.option("--once", is_flag=True, help="End when everything is in sync; status 3 if something could not be.")
@click.option("--detach", is_flag=True, help="Go on in the background, once everything is in sync.")
@click.option("--takeover", is_flag=True, help="Take the session over from another owner.")
@click.option("--patch", "patching", is_flag=True, help="Patch the workloads, under a lease, while this watch runs.")
@click.option(
    "--attach/--no-attach",
    default=None,
    help="Attach to the running pods by ephemeral containers (Kubernetes 1.25); by default only where no agent is"
    " declared and no session can be had.",
)
@click.option(
    "--agent-image", envvar="DEVLOOP_AGENT_IMAGE", default="", metavar="IMAGE", help="The image for these two."
)
@click.option("--logs", "with_logs", is_flag=True, help="Show what the services' containers print, too.")
@click.option("--hold", default="", metavar="TIME", help="How long connections to forwarded ports wait for a pod: 30s.")
@click.option("--plain", is_flag=True, help="Print lines, also on a terminal.")
@options.pass_settings
def command(
    settings: options.Settings,
    services: tuple[str, ...],
    once: bool,
    detach: bool,
    takeover: bool,
    patching: bool,
    attach: bool | None,
    agent_image: str,
    with_logs: bool,
    hold: str,
    plain: bool,
) -> int:
    """Keep the targets in sync with this project, reload the apps, show what they print.

    Ends with Ctrl-C, `q`, or `devloop stop` from elsewhere. A second `watch` of the same project joins the first.
    """
    if detach and once:
        raise errors.UsageError("--detach and --once exclude each other", hint="keep one of them")
    if patching and attach:
        raise errors.UsageError("--patch and --attach exclude each other", hint="keep one of them")
    loaded = project.loaded(settings)
    _check(loaded, services)
    chosen = {None: app.Way.FIRST, True: app.Way.ATTACH, False: app.Way.DECLARED}[attach]
    asked = shells.Asked(
        services=services,
        once=once,
        takeover=takeover,
        plain=plain or settings.output == "json",
        rung=app.Way.PATCH if patching else chosen,
        agent_image=agent_image,
        logs=with_logs,
        hold=_checked(hold),
    )
    joined = shells.join(settings, loaded, asked)
    if joined is not None:
        return int(joined)
    if detach:
        return int(shells.detach(settings, loaded, asked))
    return int(shells.foreground(settings, loaded, asked))


def _checked(hold: str) -> str:
    """Return a duration as it was written, if it is one."""
    from devloop.config import values

    try:
        if hold:
            values.duration_s(hold)
    except values.BadValue as bad:
        raise errors.UsageError(f"--hold: {bad}", hint=bad.hint) from None
    return hold


def _check(loaded: load.Project, services: tuple[str, ...]) -> None:
    """Raise where a folder that is to be synced is not there."""
    from devloop.config import load as loading

    project.check_services(loaded, services)
    bad = [each.error for each in loading.check_sources(loaded, services)]
    if bad:
        raise errors.ConfigErrors(bad) if len(bad) > 1 else bad[0]
