"""`devloop env pull-upstream`: what upstream has meanwhile, taken into the developer's branch of the templates."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from devloop import errors
from devloop.cli import envacts, envs, envtemplates, options, output

if TYPE_CHECKING:
    from devloop.argocd import application, upstream


class Wish(msgspec.Struct, frozen=True):
    """What the command line asks."""

    above: str
    base: str
    way: str
    autostash: bool
    push: bool
    force: bool
    yes: bool


@click.command("pull-upstream", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.option("--rebase", "way", flag_value="rebase", help="Put your commits onto upstream's.")
@click.option("--merge", "way", flag_value="merge", help="Merge upstream's commits into your branch.")
@click.option("--base", default="", metavar="BRANCH", help="This branch; by default upstream's default branch.")
@click.option("--upstream", "above", default="", metavar="REMOTE", help="The remote that is upstream.")
@click.option("--autostash", is_flag=True, help="Put away what is not committed, and bring it back.")
@click.option("--no-push", is_flag=True, help="Do not push the branch afterwards.")
@click.option("--force-with-lease", "force", is_flag=True, help="Where it was rebased: overwrite the pushed branch.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.pass_settings
def command(
    settings: options.Settings,
    way: str | None,
    base: str,
    above: str,
    autostash: bool,
    no_push: bool,
    force: bool,
    yes: bool,
) -> int:
    """Fetch upstream's default branch, take it into yours, push that, and let Argo CD look.

    Without --rebase and --merge it is as git's configuration says (branch.NAME.rebase, pull.rebase), else a merge for a
    branch that is pushed and a rebase for one that is not. Conflicts are left to git, and nothing is lost.
    """
    return asyncio.run(_pull(settings, Wish(above, base, way or "", autostash, not no_push, force, yes)))


async def _pull(settings: options.Settings, wish: Wish) -> int:
    from devloop.argocd import pulling, upstream

    one = await upstream.look(envtemplates.folder(settings), wish.above)
    upstream.check_branch(one)
    if not wish.autostash:
        upstream.check_clean(one, unknown=False, hint="commit it, or say --autostash")
    base = wish.base or await upstream.default_branch(one)
    tip = await upstream.fetch(one, base)
    there = await upstream.pushed(one)
    way = pulling.Way(wish.way) if wish.way else await pulling.way_of(one, there)
    done = await pulling.pull(one, base, tip, way, autostash=wish.autostash)
    if done.taken:
        commits = "1 commit" if done.taken == 1 else f"{done.taken} commits"
        output.human(settings, output.clean(f"{one.branch} has {commits} of {one.upstream}/{base} now, by {way}"))
    else:
        output.human(settings, output.clean(f"{one.branch} has all of {one.upstream}/{base}"))
    now = await upstream.look(one.top, one.upstream)
    is_pushed = await _pushed(settings, now, there, wish)
    refreshed, problem = await _refreshed(settings, now) if is_pushed else ([], "")
    value = {
        "v": 1,
        "branch": one.branch,
        "base": base,
        "way": way.value,
        "before": done.before,
        "after": done.after,
        "taken": done.taken,
        "pushed": is_pushed,
        "refreshed": [envs.reference(each.reference) for each in refreshed],
        "problem": problem or None,
    }
    output.result(settings, value, names=[str(each.reference) for each in refreshed])
    return int(errors.Exit.PARTIAL if problem else errors.Exit.OK)


async def _pushed(settings: options.Settings, now: upstream.Checkout, there: str, wish: Wish) -> bool:
    """Push the branch where it was pushed before and somebody wants it; say whether it is there as it is here."""
    from devloop.argocd import pulling, upstream

    if not there:
        output.human(settings, f"{now.branch} is not pushed anywhere yet, so Argo CD does not see it")
        return False
    if there == now.head:
        return True
    forced = not await upstream.contains(now.top, now.head, there)
    if forced and not await upstream.had(now, there):
        raise errors.RefusedError(
            f"{now.pushes} has commits of {now.branch} that were not in yours",
            hint=f"take them in first: git -C {now.top} pull --rebase",
            code=pulling.REJECTED,
        )
    if not wish.push:
        return False
    how = "overwrite" if forced else "push to"
    said = wish.yes and (wish.force or not forced)
    question = f"{how} {now.branch} of {now.pushes}?"
    if forced and wish.force and not wish.yes:
        envacts.confirmed(question, yes=False)
        said = True
    if not envacts.agreed(question, yes=said):
        words = f"git push --force-with-lease={now.branch}:{there[:12]}" if forced else "git push"
        output.human(settings, f"not pushed, so Argo CD does not see it yet: {words}")
        return False
    await pulling.push(now, force=forced, seen=there if forced else "")
    output.human(settings, output.clean(f"{now.branch} is pushed to {now.pushes}"))
    return True


async def _refreshed(settings: options.Settings, one: upstream.Checkout) -> tuple[list[application.Application], str]:
    """Let Argo CD look at what follows the branch; return that, and what kept it from being done."""
    from devloop.argocd import pulling

    done: list[application.Application] = []
    try:
        async with envs.opened(settings) as env:
            found = await env.environment()
            for app in found.applications:
                if any(pulling.follows(each.repo, each.revision, one) for each in app.sources):
                    await env.apps.refresh(app.reference)
                    done.append(app)
                    output.human(settings, f"{app.reference}: Argo CD looks at it now")
    except errors.ClusterError as error:
        output.human(settings, output.clean(f"Argo CD was not told: {error.message}"))
        return done, error.message
    return done, ""
