"""What the verbs of `devloop env` that change something have in common: times, questions, waiting with progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from devloop import errors
from devloop.argocd import application, waiting
from devloop.cli import envs, options, output

if TYPE_CHECKING:
    from devloop.argocd import lease, switch

F = TypeVar("F", bound=Callable[..., Any])

WAIT_S: Final = 600.0
"""How long a rollout is waited for by default."""

# More objects than these are counted and not listed, at each step.
_MAX_STEPS: Final = 4


class Duration(click.ParamType[float]):
    """`90s`, `30m`, `2h`."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        from devloop.config import values

        try:
            return values.duration_s(value)
        except values.BadValue as error:
            self.fail(f"{error}; {error.hint}" if error.hint else str(error), param, ctx)


def timeout_option() -> Callable[[F], F]:
    """Return the decorator for how long to wait."""
    return click.option(
        "--timeout", "timeout_s", type=Duration(), default=WAIT_S, show_default="10m", help="How long to wait."
    )


class Progress:
    """Tells what is still missing of Applications that are waited for, a line for each change.

    Args:
        settings: Decides whether it is told at all.
    """

    def __init__(self, settings: options.Settings) -> None:
        self._settings = settings
        self._last: dict[application.Reference, str] = {}

    def __call__(self, one: application.Application, found: waiting.Verdict) -> None:
        """Tell how one stands, where that is something new."""
        text = self._text(one, found)
        if self._last.get(one.reference) != text:
            self._last[one.reference] = text
            output.human(self._settings, output.clean(f"{one.reference}: {text}"))

    def _text(self, one: application.Application, found: waiting.Verdict) -> str:
        if found.state is waiting.State.DONE:
            return f"{one.sync}, {one.health}"
        steps = waiting.progress(one)
        told = [
            f"{step.name} {step.state}{f' ({step.message})' if step.message else ''}" for step in steps[:_MAX_STEPS]
        ]
        more = f" and {len(steps) - _MAX_STEPS} more" if len(steps) > _MAX_STEPS else ""
        return found.why + (f": {', '.join(told)}{more}" if told else "")


async def waited(
    env: envs.Opened,
    which: Sequence[application.Reference],
    wanted: Mapping[application.Reference, waiting.Wanted] | waiting.Wanted,
    timeout_s: float,
) -> dict[application.Reference, application.Application]:
    """Wait for Applications, and tell how far they are; see `waiting.until`."""
    return await waiting.until(env.apps, which, wanted, Progress(env.settings), timeout_s=timeout_s)


def lease_value(one: lease.Lease) -> dict[str, Any]:
    """Return a lease as JSON has it in every verb."""
    return {
        "name": one.name,
        "namespace": one.namespace,
        "kind": one.record.kind.value,
        "asked": one.record.asked,
        "owner": one.owner.name,
        "acquired": one.acquired.isoformat() if one.acquired else None,
        "ends": one.ends.isoformat() if one.ends else None,
        "applications": [envs.reference(each.reference) for each in one.record.entries],
    }


def ended_value(one: switch.Ended) -> dict[str, Any]:
    """Return what became of an Application as JSON has it in every verb."""
    return {**envs.reference(one.reference), "standing": one.standing.value, "words": one.words}


def confirmed(question: str, *, yes: bool) -> None:
    """Ask a person, unless that was answered on the command line.

    Raises:
        UsageError: Nobody is there to ask, or the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise errors.UsageError(question, hint="say --yes to go on")
    if not click.confirm(question, err=True):
        raise errors.UsageError("nothing was done")


def agreed(question: str, *, yes: bool) -> bool | None:
    """Ask a person whether something is to be done as well; None where nobody is there to ask."""
    if yes:
        return True
    return click.confirm(question, err=True) if sys.stdin.isatty() else None
