"""`devloop env resume`: auto-sync as it was before `env pause`."""

from __future__ import annotations

import asyncio

import click

from devloop import errors
from devloop.cli import envacts, envs, options, output


@click.command("resume", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@options.pass_settings
def command(settings: options.Settings) -> int:
    """Turn auto-sync on again where `devloop env pause` turned it off, with the settings that it had."""
    return asyncio.run(_resume(settings))


async def _resume(settings: options.Settings) -> int:
    from devloop.argocd import lease, leasing, overdue, switch, switching

    async with envs.opened(settings) as env:
        leases = leasing.Leases(env.api, env.api.namespace)
        found, _ = await leases.every()
        mine = [one for one in leasing.mine(found, await leases.me()) if one.record.kind is lease.Kind.PAUSE]
        ended = [each for one in mine for each in await switch.put_back(env.apps, leases, one)]
    for each in ended:
        output.human(settings, output.clean(overdue.words(each)))
    if not ended:
        output.human(settings, "nothing of yours is paused")
    value = {"v": 1, "applications": [envacts.ended_value(each) for each in ended]}
    output.result(settings, value, names=[str(each.reference) for each in ended])
    foreign = any(each.standing is switching.Standing.FOREIGN for each in ended)
    return int(errors.Exit.PARTIAL if foreign else errors.Exit.OK)
