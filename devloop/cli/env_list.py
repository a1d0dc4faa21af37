"""`devloop env list`: the Applications of this environment, a line each."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from devloop import errors
from devloop.cli import options, output

if TYPE_CHECKING:
    from devloop.argocd import environment


@click.command("list", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.option("--all", "everything", is_flag=True, help="All that you may read, of this environment or not.")
@options.pass_settings
def command(settings: options.Settings, everything: bool) -> int:
    """List the Applications of this environment, and why each belongs to it.

    What is only near it, such as another Application of the same parent, follows after a blank line; verbs leave those
    alone unless they are named.
    """
    return asyncio.run(_list(settings, everything=everything))


async def _list(settings: options.Settings, *, everything: bool) -> int:
    from devloop.argocd import environment
    from devloop.cli import envs

    async with envs.opened(settings) as env:
        found = await env.environment()
    members, related = found.members, found.related
    if everything:
        known = {each.reference: each for each in (*members, *related)}
        rest = [one for one in found.every if one.reference not in known]
        related = (*related, *(environment.Member(one, environment.Why.OTHER) for one in rest))
    elif not members:
        raise envs.nothing(found)
    _tell(settings, members, related)
    return int(errors.Exit.OK)


def _tell(
    settings: options.Settings, members: tuple[environment.Member, ...], related: tuple[environment.Member, ...]
) -> None:
    from devloop.argocd import told
    from devloop.ui import applications

    text = ""
    if settings.output == "text" and (members or related):
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        lines = applications.listed([*members, *related], color=settings.color_on(sys.stdout), width=width)
        if members and related:
            lines.insert(1 + len(members), "")
        text = "\n".join(lines)
    value: dict[str, Any] = {"v": 1, "applications": [told.brief(each) for each in members]}
    value["related"] = [told.brief(each) for each in related]
    output.result(settings, value, text=text, names=[str(each.reference) for each in members])
