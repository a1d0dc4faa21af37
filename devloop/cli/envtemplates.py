"""What the verbs that work on the templates checkout have in common: where it is, pushing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devloop.cli import envacts, envs, options, output

if TYPE_CHECKING:
    from devloop.argocd import upstream


def folder(settings: options.Settings) -> str:
    """Return the folder of the templates checkout; empty where the project names none, or there is no project."""
    loaded = envs.project_of(settings)
    said = loaded.config.argocd if loaded is not None else None
    return (said.templates if said is not None else None) or ""


async def pushed(settings: options.Settings, one: upstream.Checkout, *, force: bool, yes: bool) -> str:
    """Push the branch, and return what the server said.

    Args:
        settings: The global options.
        one: The checkout.
        force: Overwrite the branch there, if it is what this checkout has seen of it, and a person agrees.
        yes: They agreed.

    Raises:
        RefusedError: The server does not take it.
        UsageError: Nobody agreed.
    """
    from devloop.argocd import pulling
    from devloop.argocd import upstream as upstreams

    seen = ""
    if force:
        seen = await upstreams.line(
            one.top, "rev-parse", "--verify", "--quiet", f"refs/remotes/{one.pushes}/{one.branch}^{{commit}}"
        )
        lost = await _lost(one, seen)
        if lost:
            envacts.confirmed(f"overwrite {one.branch} of {one.pushes}, and {lost} that only it has?", yes=yes)
    told = await pulling.push(one, force=force and bool(seen), seen=seen)
    output.human(settings, output.clean(f"{one.branch} is pushed to {one.pushes} ({one.remotes[one.pushes]})"))
    return told


async def _lost(one: upstream.Checkout, seen: str) -> str:
    """Return how many commits an overwritten branch would lose, in words; empty for none."""
    from devloop.argocd import upstream as upstreams

    count = await upstreams.line(one.top, "rev-list", "--count", f"{one.head}..{seen}", "--") if seen else "0"
    if count == "0":
        return ""
    return "1 commit" if count == "1" else f"{count or 'unknown'} commits"
