"""`devloop env wait`: until Applications are in sync and healthy."""

from __future__ import annotations

import asyncio

import click

from devloop import errors
from devloop.argocd import waiting
from devloop.cli import envacts, envs, options, output


@click.command("wait", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@envs.application_argument()
@click.option("--synced", is_flag=True, help="Wait for the sync alone.")
@click.option("--healthy", is_flag=True, help="Wait for the health alone.")
@envacts.timeout_option()
@options.pass_settings
def command(
    settings: options.Settings, applications: tuple[str, ...], synced: bool, healthy: bool, timeout_s: float
) -> int:
    """Wait until the Applications are in sync and healthy; without --synced and --healthy for both.

    Ends at once where they are. Ends with an error where a sync fails or something becomes Degraded meanwhile.
    """
    both = synced == healthy
    wanted = waiting.Wanted(synced=synced or both, healthy=healthy or both)
    return asyncio.run(_wait(settings, applications, wanted, timeout_s))


async def _wait(settings: options.Settings, texts: tuple[str, ...], wanted: waiting.Wanted, timeout_s: float) -> int:
    async with envs.opened(settings) as env:
        some = envs.named(await env.environment(), texts)
        seen = await envacts.waited(env, [one.reference for one in some], wanted, timeout_s)
    rows = [{**envs.reference(which), "sync": one.sync, "health": one.health} for which, one in seen.items()]
    output.result(settings, {"v": 1, "applications": rows}, names=[str(which) for which in seen])
    return int(errors.Exit.OK)
