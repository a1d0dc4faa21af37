"""`devloop env pause`: auto-sync off for a while, under a lease."""

from __future__ import annotations

import asyncio
import secrets

import click

from devloop import errors
from devloop.cli import envacts, envs, options, output


@click.command("pause", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@envs.application_argument()
@click.option(
    "--for", "duration_s", type=envacts.Duration(), default=1800.0, show_default="30m", help="It ends after so long."
)
@click.option("--force", is_flag=True, help="Go on although something else will turn it on again.")
@options.pass_settings
def command(settings: options.Settings, applications: tuple[str, ...], duration_s: float, force: bool) -> int:
    """Turn auto-sync off, until `devloop env resume` or for a time.

    What you change in the cluster then stays, and git's next commit waits. How auto-sync was set is written down first.
    """
    return asyncio.run(_pause(settings, applications, duration_s, force=force))


async def _pause(settings: options.Settings, texts: tuple[str, ...], duration_s: float, *, force: bool) -> int:
    from devloop.argocd import choice, lease, leasing, overdue, preflight, surroundings, switch, switching

    async with envs.opened(settings) as env:
        leases = leasing.Leases(env.api, env.api.namespace)
        await overdue.settle(env.apps, leases, lambda line: output.human(settings, line))
        found = await env.environment()
        some = envs.named(found, texts)
        targets = [one for one in some if one.automated is not None]
        if not targets:
            output.human(settings, "auto-sync is off already")
        else:
            around = await surroundings.look(env.api, found.every, targets, choice.home(env.said))
            changes = [(one, switching.pause_entry(one)) for one in targets]
            for each in preflight.owned(changes, around, lease.Kind.PAUSE.pointer):
                if each.is_final and not force:
                    raise errors.RefusedError(each.message, hint=each.hint, code=each.code)
                output.human(settings, output.clean(f"warning: {each.message}"))
            wanted = switch.Asked(lease.Kind.PAUSE, "", secrets.token_hex(8), int(duration_s))
            taken = await switch.take(env.apps, leases, targets, switching.pause_entry, wanted)
            assert taken.lease is not None and taken.lease.ends is not None
            names = ", ".join(str(one.reference) for one in targets)
            output.human(
                settings,
                f"auto-sync of {names} is off until {taken.lease.ends:%H:%M} UTC, or `devloop env resume`; after that "
                "your next devloop turns it on",
            )
    value = {"v": 1, "applications": [envs.reference(one.reference) for one in targets]}
    output.result(settings, value, names=[str(one.reference) for one in targets])
    return int(errors.Exit.OK)
