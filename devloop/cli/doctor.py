"""`devloop doctor`: whether this machine, the cluster and each service are fit for the loop, and what to do if not."""

from __future__ import annotations

import asyncio
import shutil
import sys

import click

from devloop.cli import options, output, project


@click.command("doctor", cls=options.Verb, formats=("text", "json", "yaml"))
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=project.complete_services)
@options.pass_settings
def command(settings: options.Settings, services: tuple[str, ...]) -> int:
    """Check this machine, the cluster, and each service: its pods, the agents in them, the ways in.

    Changes nothing, and disturbs no running watch. Ends with status 0 where nothing fails; else with 1, or with
    what the first failure means: 4 for missing rights, 5 for a cluster that does not answer.
    """
    from devloop.doctor import examine, report, text

    loaded = project.loaded(settings)
    asked = examine.Asked(
        services=project.check_services(loaded, services),
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        namespace=settings.namespace,
    )
    found = asyncio.run(examine.examine(loaded, asked))
    told = ""
    if settings.output == "text":
        width = shutil.get_terminal_size().columns
        told = text.render(found, color=settings.color_on(sys.stdout), width=width, verbose=settings.verbosity > 0)
    output.result(settings, report.document(found), text=told)
    return int(found.exit_status)
