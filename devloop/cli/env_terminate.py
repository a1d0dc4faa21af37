"""`devloop env terminate`: end a sync that runs."""

from __future__ import annotations

import asyncio

import click

from devloop import errors
from devloop.cli import envs, options, output


@click.command("terminate", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@envs.application_argument()
@options.pass_settings
def command(settings: options.Settings, applications: tuple[str, ...]) -> int:
    """End the sync that runs. What it has applied stays; where auto-sync is on, Argo CD begins another one."""
    return asyncio.run(_terminate(settings, applications))


async def _terminate(settings: options.Settings, texts: tuple[str, ...]) -> int:
    async with envs.opened(settings) as env:
        some = envs.named(await env.environment(), texts)
        # without names only what runs is meant; with them it is an error that one does not
        meant = some if texts else [one for one in some if one.is_running] or some
        for one in meant:
            await env.apps.terminate(one.reference)
            output.human(settings, f"{one.reference}: the sync is being ended")
    value = {"v": 1, "applications": [envs.reference(one.reference) for one in meant]}
    output.result(settings, value, names=[str(one.reference) for one in meant])
    return int(errors.Exit.OK)
