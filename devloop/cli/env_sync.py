"""`devloop env sync`: let Argo CD apply what git says."""

from __future__ import annotations

import asyncio

import click

from devloop import errors
from devloop.argocd import backend, waiting
from devloop.cli import envacts, envs, options, output


@click.command("sync", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@envs.application_argument()
@click.option("--prune", is_flag=True, help="Delete objects that left git.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--resource", "resources", multiple=True, metavar="[GROUP/]KIND/[NAMESPACE/]NAME", help="Only this object."
)
@click.option("--no-wait", is_flag=True, help="Do not wait for its end.")
@envacts.timeout_option()
@options.pass_settings
def command(
    settings: options.Settings,
    applications: tuple[str, ...],
    prune: bool,
    dry_run: bool,
    resources: tuple[str, ...],
    no_wait: bool,
    timeout_s: float,
) -> int:
    """Let Argo CD apply what git says now, and wait until everything is in sync and healthy."""
    ask = backend.SyncAsk(prune=prune, dry_run=dry_run, resources=resources, info={"by": envs.user()})
    return asyncio.run(_sync(settings, applications, ask, None if no_wait else timeout_s))


async def _sync(
    settings: options.Settings, texts: tuple[str, ...], ask: backend.SyncAsk, timeout_s: float | None
) -> int:
    async with envs.opened(settings) as env:
        some = envs.named(await env.environment(), texts)
        for one in some:
            await env.apps.sync(one.reference, ask)
            output.human(settings, f"{one.reference}: the sync is asked for")
        if timeout_s is not None:
            # a part, or what is only tried, does not make the whole the same as git
            wanted = waiting.Wanted(synced=not (ask.dry_run or ask.resources), healthy=not ask.dry_run)
            seen = await envacts.waited(env, [one.reference for one in some], wanted, timeout_s)
            some = list(seen.values())
    done = {
        str(one.reference): one.operation.resources if one.operation is not None and timeout_s is not None else ()
        for one in some
    }
    rows = [
        {
            **envs.reference(one.reference),
            "resources": [
                {"name": str(each), "status": each.sync, "message": each.message} for each in done[str(one.reference)]
            ],
        }
        for one in some
    ]
    text = "\n".join(f"{name}: {each} {each.message or each.sync}" for name, some in done.items() for each in some)
    output.result(settings, {"v": 1, "applications": rows}, text=output.clean(text), names=list(done))
    return int(errors.Exit.OK)
