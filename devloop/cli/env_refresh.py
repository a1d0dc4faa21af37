"""`devloop env refresh`: let Argo CD look at git and the cluster now."""

from __future__ import annotations

import asyncio

import click

from devloop import errors
from devloop.cli import envs, options, output


@click.command("refresh", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@envs.application_argument()
@click.option("--hard", is_flag=True, help="Render the templates anew, whatever Argo CD has kept of them.")
@options.pass_settings
def command(settings: options.Settings, applications: tuple[str, ...], hard: bool) -> int:
    """Let Argo CD compare git and cluster now, instead of at its next turn."""
    return asyncio.run(_refresh(settings, applications, hard=hard))


async def _refresh(settings: options.Settings, texts: tuple[str, ...], *, hard: bool) -> int:
    async with envs.opened(settings) as env:
        some = envs.named(await env.environment(), texts)
        for one in some:
            await env.apps.refresh(one.reference, hard=hard)
            output.human(
                settings, f"{one.reference}: Argo CD was asked to compare{' and to render' if hard else ''} anew"
            )
    value = {"v": 1, "applications": [envs.reference(one.reference) for one in some]}
    output.result(settings, value, names=[str(one.reference) for one in some])
    return int(errors.Exit.OK)
