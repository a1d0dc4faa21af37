"""`devloop env use`: let the environment follow a branch, under a lease."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from devloop import errors
from devloop.cli import envacts, envs, options, output

if TYPE_CHECKING:
    from devloop.argocd import application, backend, environment, fought, lease, preflight, switch

# An ApplicationSet or a parent takes a switch back at its next look, mostly within seconds.
FOUGHT_S = 60.0


class Wish(msgspec.Struct, frozen=True):
    """What the command line asks."""

    branch: str
    repo: str
    source: str
    names: tuple[str, ...]
    tree: bool
    duration_s: float
    timeout_s: float
    unchecked: bool
    force: bool
    wait: bool
    dry_run: bool


@click.command("use", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.argument("branch")
@click.option("--app", "names", multiple=True, metavar="APPLICATION", help="This Application; may be repeated.")
@click.option("--tree", is_flag=True, help="All of the environment: an app-of-apps with its children.")
@click.option("--repo", default="", metavar="URL", help="Also take the templates from this fork.")
@click.option("--source", default="", metavar="NAME", help="Which source, where there are several: its name or number.")
@click.option(
    "--for",
    "duration_s",
    type=envacts.Duration(),
    default=0.0,
    show_default="until restored",
    help="It ends after so long.",
)
@click.option("--unchecked", is_flag=True, help="Go on where the branch cannot be looked for.")
@click.option("--force", is_flag=True, help="Go on although something else will change it back.")
@click.option("--dry-run", is_flag=True, help="Look at everything and say what would be changed.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the branch is rolled out.")
@envacts.timeout_option()
@options.pass_settings
def command(
    settings: options.Settings,
    branch: str,
    names: tuple[str, ...],
    tree: bool,
    repo: str,
    source: str,
    duration_s: float,
    unchecked: bool,
    force: bool,
    dry_run: bool,
    no_wait: bool,
    timeout_s: float,
) -> int:
    """Let the Applications of this project's services follow BRANCH, until `devloop env restore`.

    How everything was is written down first, in a Lease of your namespace. Then each Application is changed by one
    patch that tests what it replaces, all of them or none.
    """
    if names and tree:
        raise errors.UsageError("--app and --tree exclude each other")
    wish = Wish(
        branch, repo, source, names, tree, duration_s, timeout_s, unchecked, force, not no_wait and not dry_run, dry_run
    )
    return asyncio.run(_use(settings, wish))


async def _use(settings: options.Settings, wish: Wish) -> int:
    from devloop.argocd import (
        choice,
        fought,
        gitref,
        lease,
        leasing,
        overdue,
        owners,
        preflight,
        surroundings,
        switch,
        switching,
    )

    async with envs.opened(settings) as env:
        leases = leasing.Leases(env.api, env.api.namespace)
        await overdue.settle(env.apps, leases, lambda line: output.human(settings, line))
        found = await env.environment()
        targets = _targets(found, wish)
        asked = switching.Switch(wish.branch, wish.repo, await _repo_of(env), wish.source)
        changes = [(one, switching.branch_entry(one, asked)) for one in targets]
        changes = [(one, entry) for one, entry in changes if entry.fields]
        if not changes:
            output.human(settings, f"already on {wish.branch}: nothing to change")
            return _told(settings, None, [])
        revisions, problems = await preflight.branches(changes, asked, env.templates)
        problems += await preflight.permitted(env.apps, changes, choice.home(env.said))
        around = await surroundings.look(env.api, found.every, targets, choice.home(env.said))
        problems += preflight.owned(changes, around, lease.Kind.BRANCH.pointer)
        _judge(settings, problems, wish)
        for one, entry in changes:
            for field in entry.fields:
                name, old = field.path.rpartition("/")[2], gitref.short(str(field.old or "HEAD"))
                output.human(settings, f"{one.reference}: {name} {old} -> {field.new}")
        if wish.dry_run:
            return _told(settings, None, changes)
        wanted = switch.Asked(lease.Kind.BRANCH, wish.branch, secrets.token_hex(8), int(wish.duration_s))
        entries = {one.reference: entry for one, entry in changes}
        taken = await switch.take(
            env.apps, leases, [one for one, _ in changes], lambda one: entries[one.reference], wanted
        )
        assert taken.lease is not None
        output.human(settings, _until(taken.lease))
        await _refreshed(env, taken)
        if wish.wait:
            pointer = lease.Kind.BRANCH.pointer
            known = {
                one.reference: owners.verdict(one, around, [each.path for each in entry.fields], [pointer])
                for one, entry in changes
            }
            await _rolled_out(env, taken, fought.Watch(taken.lease, known), revisions, wish)
        return _told(settings, taken.lease, changes)


def _targets(found: environment.Environment, wish: Wish) -> list[application.Application]:
    """Return the Applications that are meant, those that render others first."""
    from devloop.argocd import environment

    some = envs.named(found, wish.names)
    if not wish.names:
        near = {environment.Why.NAMED, environment.Why.WORKLOAD}
        direct = [each.app for each in found.members if each.why in near]
        some = [one for one in some if any(source.is_git for source in one.sources)] if wish.tree else direct or some
    return sorted(some, key=lambda one: not any(each.kind == "Application" for each in one.resources))


async def _repo_of(env: envs.Opened) -> str:
    """Return the repository of the templates checkout, by which sources are told apart; empty where there is none."""
    from devloop.argocd import git

    known = await git.remotes(env.templates) if env.templates else {}
    return next(iter(known.values()), "")


def _judge(settings: options.Settings, problems: Sequence[preflight.Problem], wish: Wish) -> None:
    """Tell what speaks against it, and end where it must not go on.

    Raises:
        RefusedError: It would fail, or be undone.
    """
    from devloop.argocd import preflight

    final = []
    for each in problems:
        passed = (each.code == preflight.NO_BRANCH and wish.unchecked) or (each.code == preflight.OWNED and wish.force)
        if each.is_final and not passed:
            final.append(each)
        else:
            output.human(settings, output.clean(f"warning: {each.message}"))
            if each.hint:
                output.human(settings, f"hint: {each.hint}")
    if not final:
        return
    for each in final[1:]:
        output.human(settings, f"error[{each.code}]: {each.message}")
        output.human(settings, f"hint: {each.hint}")
    first = final[0]
    raise errors.RefusedError(first.message, hint=first.hint, code=first.code)


def _until(one: lease.Lease) -> str:
    end = (
        f"until {one.ends:%Y-%m-%d %H:%M} UTC, or `devloop env restore`" if one.ends else "until `devloop env restore`"
    )
    return f"how it was is in the lease {one.reference}, {end}; after a crash or its end your next devloop puts it back"


async def _refreshed(env: envs.Opened, taken: switch.Taken) -> None:
    for which in taken.changed:
        await env.apps.refresh(which)


async def _rolled_out(
    env: envs.Opened,
    taken: switch.Taken,
    watch: fought.Watch,
    revisions: Sequence[preflight.Revision],
    wish: Wish,
) -> None:
    """Wait until the branch is synced and healthy, and see whether somebody takes it back."""
    from devloop.argocd import gitref, waiting

    commits = {gitref.parse(each.repo): each.commit for each in revisions}
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    wanted = {}
    for which in taken.changed:
        one = await env.apps.get(which)
        wanted[which] = waiting.Wanted(
            revisions=tuple(
                commits.get(gitref.parse(source.repo), "") if source.revision == wish.branch else ""
                for source in one.sources
            )
            if not one.hydrated
            else ()
        )
    tell = envacts.Progress(env.settings)

    def seen(one: application.Application, verdict: waiting.Verdict) -> None:
        watch.take(one)
        tell(one, verdict)

    await waiting.until(env.apps, list(taken.changed), wanted, seen, timeout_s=wish.timeout_s)
    left_s = FOUGHT_S - (loop.time() - began_s)
    if watch.is_likely and left_s > 0:
        output.human(env.settings, f"looking for {left_s:.0f} s whether it stays so")
        await _stays(env, taken, watch, left_s)


async def _stays(env: envs.Opened, taken: switch.Taken, watch: fought.Watch, left_s: float) -> None:
    """Look at Applications for a while; see `fought.Watch.take`."""

    def seen(which: application.Reference, one: application.Application | None) -> None:
        if one is not None:
            watch.take(one)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(left_s):
            await _followed(env, taken, seen)


async def _followed(env: envs.Opened, taken: switch.Taken, seen: backend.Tell) -> None:
    with errors.single():
        await env.apps.follow(list(taken.changed), seen)


def _told(
    settings: options.Settings,
    made: lease.Lease | None,
    changes: Sequence[tuple[application.Application, lease.Entry]],
) -> int:
    value = {
        "v": 1,
        "lease": envacts.lease_value(made) if made is not None else None,
        "applications": [
            {
                **envs.reference(one.reference),
                "changes": [{"path": each.path, "old": each.old, "new": each.new} for each in entry.fields],
            }
            for one, entry in changes
        ],
    }
    output.result(settings, value, names=[str(one.reference) for one, _ in changes])
    return int(errors.Exit.OK)
