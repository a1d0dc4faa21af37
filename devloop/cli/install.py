"""`devloop install --patch`: put the agent into workloads of the cluster, until `devloop down`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import click

from devloop import errors
from devloop.cli import options, output, project

if TYPE_CHECKING:
    from devloop.config import load
    from devloop.inject import patch

_HELP: Final = """\
Put the agent into the workloads of devloop.yaml, in the cluster itself.

For a cluster without devloop's webhook and without Argo CD: the workload's pod template is changed under a lease, in
which everything is written down that undoes it. `devloop down` gives it back. Where Argo CD keeps the workload this is
refused: there the agent belongs into the manifests (`devloop inject`).
"""

# A patch that was asked for by itself has no watch whose silence could end it: no sweeper and no next start does.
_UNTIL: Final = "until `devloop down` gives it back, and nothing else does"


@click.command("install", cls=options.Verb, help=_HELP)
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=project.complete_services)
@click.option("--patch", "patching", is_flag=True, help="Change the workloads' pod templates, under a lease.")
@click.option("--agent-image", envvar="DEVLOOP_AGENT_IMAGE", metavar="IMAGE", help="The agent's image.")
@click.option("--takeover", is_flag=True, help="Take a workload over from another owner.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1),
    default=180.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the new pods may take.",
)
@options.pass_settings
def command(
    settings: options.Settings,
    services: tuple[str, ...],
    patching: bool,
    agent_image: str | None,
    takeover: bool,
    timeout_s: float,
) -> int:
    """Patch the workloads."""
    if not patching:
        raise errors.UsageError(
            "say how the agent is to be installed",
            hint="`devloop install --patch` changes the workloads, under a lease",
        )
    loaded = project.loaded(settings)
    project.check_services(loaded, services)
    return asyncio.run(_install(settings, loaded, services, agent_image, takeover=takeover, timeout_s=timeout_s))


async def _install(
    settings: options.Settings,
    loaded: load.Project,
    names: tuple[str, ...],
    agent_image: str | None,
    *,
    takeover: bool,
    timeout_s: float,
) -> int:
    from devloop.cli import clustered
    from devloop.config import injection
    from devloop.inject import leasing, patch, template
    from devloop.kube import workloads
    from devloop.podspec import names as podnames
    from devloop.state import dirs

    def say(line: str) -> None:
        output.human(settings, output.clean(f"devloop: {line}"))

    wanted = clustered.in_cluster(loaded, names)
    async with clustered.connection(settings, loaded) as api:
        me = await leasing.whoami(api)
        for name, spec in wanted.items():
            if spec.workload is None:
                raise errors.UsageError(
                    f"{name} has a selector and no workload, so there is no template to change",
                    hint="add workload: deployment/NAME to it",
                    code=template.CODE,
                )
            asked = patch.Asked(
                reference=workloads.parse(str(spec.workload)),
                service=injection.request_of(name, spec),
                agent_image=agent_image or podnames.AGENT_IMAGE,
                project=dirs.project_id(loaded.folder),
                takeover=takeover,
                applications=(loaded.config.argocd.namespace or "") if loaded.config.argocd else "",
                timeout_s=timeout_s,
            )
            done = await patch.install(api, api.namespace, asked, me, say)
            _tell(settings, name, asked, done)
    return int(errors.Exit.OK)


def _tell(settings: options.Settings, name: str, asked: patch.Asked, done: patch.Installed) -> None:
    for note in done.notes:
        output.human(settings, output.clean(f"devloop: {asked.reference}: {note}"), verbosity=1)
    if done.lease is None:
        line = f"{asked.reference} has the agent by its own manifests; nothing was changed"
    elif done.changed:
        line = f"{asked.reference} is patched for {name} {_UNTIL}"
    else:
        line = f"{asked.reference} is patched for {name} already, {_UNTIL}"
    output.human(settings, f"devloop: {line}")
