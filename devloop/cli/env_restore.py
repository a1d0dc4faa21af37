"""`devloop env restore`: give the environment back as it was before `env use` or `env pause`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from devloop import errors
from devloop.cli import envacts, envs, options, output

if TYPE_CHECKING:
    from devloop.argocd import lease, leasing


@click.command("restore", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.option("--lease", "names", multiple=True, metavar="NAME", help="This lease, whosesoever; may be repeated.")
@click.option("--all-expired", is_flag=True, help="Others' leases too whose time is over.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before somebody else's lease is ended.")
@click.option("--no-wait", is_flag=True, help="Do not wait until it is rolled out.")
@envacts.timeout_option()
@options.pass_settings
def command(
    settings: options.Settings, names: tuple[str, ...], all_expired: bool, yes: bool, no_wait: bool, timeout_s: float
) -> int:
    """Put back what your leases changed: the branch, the repository, auto-sync.

    What somebody else changed meanwhile stays as it is, and is said. Works from any laptop of yours, after a crash too.
    """
    return asyncio.run(
        restore(settings, names, all_expired=all_expired, yes=yes, timeout_s=None if no_wait else timeout_s)
    )


async def restore(
    settings: options.Settings,
    names: tuple[str, ...],
    *,
    all_expired: bool = False,
    yes: bool = False,
    timeout_s: float | None,
) -> int:
    """Put back, tell what became of it, and return the exit status; other verbs offer it too.

    Args:
        settings: The global options.
        names: These leases, whosesoever; the user's own where there are none.
        all_expired: Others' too whose time is over.
        yes: Do not ask before somebody else's is ended.
        timeout_s: How long to wait for the rollout; None for not at all.
    """
    from devloop.argocd import leasing, overdue, switch, switching, waiting

    async with envs.opened(settings) as env:
        leases = leasing.Leases(env.api, env.api.namespace)
        ended = []
        for one in await _meant(settings, leases, names, all_expired=all_expired, yes=yes):
            done = await switch.put_back(env.apps, leases, one)
            ended += done
            for each in done:
                output.human(settings, output.clean(overdue.words(each)))
            for each in done:
                if each.standing is switching.Standing.OURS:
                    await env.apps.refresh(each.reference)
        back = [each.reference for each in ended if each.standing is switching.Standing.OURS]
        if back and timeout_s is not None:
            # where auto-sync is off, git and cluster stay apart until somebody syncs
            synced = [which for which in back if (await env.apps.get(which)).automated is not None]
            wanted = {which: waiting.Wanted(synced=which in synced) for which in back}
            await envacts.waited(env, back, wanted, timeout_s)
    if not ended:
        output.human(settings, "nothing to put back")
    value = {"v": 1, "applications": [envacts.ended_value(each) for each in ended]}
    output.result(settings, value, names=[str(each.reference) for each in ended])
    foreign = any(each.standing is switching.Standing.FOREIGN for each in ended)
    return int(errors.Exit.PARTIAL if foreign else errors.Exit.OK)


async def _meant(
    settings: options.Settings, leases: leasing.Leases, names: Sequence[str], *, all_expired: bool, yes: bool
) -> list[lease.Lease]:
    """Return the leases to end, the newest first: a later one may have been taken on top of an earlier.

    Raises:
        NotThereError: A named one is not there.
        UsageError: Somebody else's is not to be ended without asking.
    """
    from devloop.argocd import overdue

    found, wrong = await leases.every()
    for error in wrong:
        output.human(settings, f"warning: {error.message}")
    me = await leases.me()
    known = {one.name: one for one in found}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise errors.NotThereError(
            f"there is no lease {unknown[0]} in namespace {leases.namespace}",
            hint=f"there are {', '.join(sorted(known)) or 'none'}",
        )
    late = {one.name for one in overdue.are(leases, found)} if all_expired else set()
    some = [one for one in found if (one.name in names if names else one.owner.is_same(me)) or one.name in late]
    for one in some:
        if not one.owner.is_same(me) and one.name not in late:
            envacts.confirmed(f"end the lease {one.name} of {one.owner}?", yes=yes)
    return some[::-1]
