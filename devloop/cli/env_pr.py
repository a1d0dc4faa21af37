"""`devloop env pr`: the developer's branch of the templates, pushed and proposed to upstream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click
import msgspec

from devloop import errors
from devloop.cli import envacts, envs, envtemplates, options, output

if TYPE_CHECKING:
    from devloop.argocd import pullrequest, upstream


class Wish(msgspec.Struct, frozen=True):
    """What the command line asks."""

    title: str
    base: str
    above: str
    draft: bool
    printing: bool
    force: bool
    yes: bool


@click.command("pr", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.option("--title", default="", help="Its title; by default the commit's subject, or the branch's name.")
@click.option("--base", default="", metavar="BRANCH", help="Into this branch; by default upstream's default branch.")
@click.option("--upstream", "above", default="", metavar="REMOTE", help="The remote that it is proposed to.")
@click.option("--draft", is_flag=True, help="Open it as a draft.")
@click.option("--print", "printing", is_flag=True, help="Push, and print the page that opens it instead of opening it.")
@click.option("--force-with-lease", "force", is_flag=True, help="Overwrite the pushed branch, if it is what you saw.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.pass_settings
def command(
    settings: options.Settings,
    title: str,
    base: str,
    above: str,
    draft: bool,
    printing: bool,
    force: bool,
    yes: bool,
) -> int:
    """Push the branch of your templates checkout and open a pull request, by gh or glab where you use them.

    Everything must be committed. Once it is merged, the same command says so and offers `devloop env restore`.
    """
    return asyncio.run(_pr(settings, Wish(title, base, above, draft, printing, force, yes)))


async def _pr(settings: options.Settings, wish: Wish) -> int:
    from devloop.argocd import git, merged, pullrequest, upstream

    one = await upstream.look(envtemplates.folder(settings), wish.above)
    upstream.check_branch(one)
    base = wish.base or await upstream.default_branch(one)
    if one.branch == base:
        raise errors.LocalError(
            f"{one.top} is on {base}, which is what you would propose to",
            hint="make a branch of your commits: git switch -c NAME",
            code=upstream.BRANCH,
        )
    upstream.check_clean(one, unknown=True, hint="commit it or `git stash -u` it first")
    tip = await upstream.fetch(one, base)
    standing = await merged.standing(one.top, one.head, tip, one.branch)
    if standing is merged.Standing.EMPTY:
        raise errors.LocalError(
            f"{one.branch} has nothing that {one.upstream}/{base} has not",
            hint="commit something",
            code=upstream.BRANCH,
        )
    if standing is not merged.Standing.AHEAD:
        return await _merged(settings, one, base, standing.value, wish)
    told = await envtemplates.pushed(settings, one, force=wish.force, yes=wish.yes)
    log = await upstream.line(one.top, "log", "--reverse", "--no-merges", "--format=%s", f"{tip}..{one.head}", "--")
    title, body = pullrequest.title_of(log.splitlines(), one.branch)
    above, below = await git.address(one.top, one.upstream), await git.address(one.top, one.pushes)
    what = pullrequest.Proposal(above, below, one.branch, base, wish.title or title, body, wish.draft)
    return await _proposed(settings, one, what, told, printing=wish.printing)


async def _proposed(
    settings: options.Settings,
    one: upstream.Checkout,
    what: pullrequest.Proposal,
    told: str,
    *,
    printing: bool,
) -> int:
    """Open the pull request, or tell the page that opens it."""
    from devloop.argocd import forgecli, forges, pullrequest

    name = "" if printing else await forgecli.usable(what.upstream, one.top)
    if name:
        address, was_open = await forgecli.opened(name, what, one.top)
        words = "is open already, with what you have pushed" if was_open else "is open"
        output.human(settings, output.clean(f"the pull request {words}; after the merge, `devloop env pr` says so"))
    else:
        found = forges.repository(what.upstream)
        known = found is not None and found.forge is not forges.Forge.UNKNOWN
        address, was_open = ("" if known else pullrequest.told_by(what.fork, told)) or pullrequest.page(what), False
        output.human(
            settings,
            "open the pull request on this page:" if address else f"open the pull request where {what.upstream} is",
        )
    value = _value(one, what.base, "ahead") | {
        "title": what.title,
        "url": address or None,
        "opened": bool(name),
        "wasOpen": was_open,
        "by": name or None,
    }
    output.result(settings, value, text=output.clean(address), names=[address] if address else [])
    return int(errors.Exit.OK)


async def _merged(settings: options.Settings, one: upstream.Checkout, base: str, standing: str, wish: Wish) -> int:
    """Say that everything is upstream, and offer to put the environment back."""
    from devloop.argocd import upstream

    how = "" if standing == "merged" else " as other commits"
    gone = "" if await upstream.pushed(one) else f"; {one.pushes} has no {one.branch} any more"
    output.human(settings, output.clean(f"all of {one.branch} is in {one.upstream}/{base}{how}{gone}"))
    restored = await _restored(settings, one, wish)
    output.result(settings, _value(one, base, standing) | {"restored": restored})
    return int(errors.Exit.OK)


async def _restored(settings: options.Settings, one: upstream.Checkout, wish: Wish) -> list[str]:
    """Put back what this user's leases let follow the branch, if it is wanted; return the leases' names."""
    from devloop.argocd import lease, leasing
    from devloop.cli import env_restore

    try:
        async with envs.opened(settings) as env:
            leases = leasing.Leases(env.api, env.api.namespace)
            every, _ = await leases.every()
            mine = leasing.mine(every, await leases.me())
    except errors.ClusterError as error:
        output.human(settings, output.clean(f"whether the environment still follows it is not known: {error.message}"))
        return []
    names = [each.name for each in mine if each.record.kind is lease.Kind.BRANCH and each.record.asked == one.branch]
    if not names:
        return []
    question = f"the environment still follows {one.branch}: put it back as it was?"
    if not envacts.agreed(question, yes=wish.yes):
        output.human(settings, f"the environment still follows {one.branch}: `devloop env restore` puts it back")
        return []
    quiet = settings._replace(output="text")
    await env_restore.restore(quiet, tuple(names), timeout_s=envacts.WAIT_S)
    return names


def _value(one: upstream.Checkout, base: str, standing: str) -> dict[str, Any]:
    return {"v": 1, "branch": one.branch, "base": base, "commit": one.head, "standing": standing}
