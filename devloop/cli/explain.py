"""`devloop explain [CODE]`: what an error code means and what to do, or all of them."""

from __future__ import annotations

import sys
import textwrap

import click

from devloop import errors
from devloop.cli import options, output
from devloop.ui import codes

_WIDTH = 88


@click.command("explain", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.argument("code", required=False, shell_complete=lambda ctx, param, incomplete: _complete(incomplete))
@options.pass_settings
def command(settings: options.Settings, code: str | None) -> None:
    """Say what an error CODE means and what to do; without one, list them all."""
    if code is None:
        listed = [_value(known, told) for known, told in codes.CODES.items()]
        lines = [f"{known}  {told.title}" for known, told in codes.CODES.items()]
        output.result(settings, {"v": 1, "codes": listed}, text="\n".join(lines), names=list(codes.CODES))
        return
    known = codes.normal(code)
    told = codes.CODES.get(known)
    if told is None:
        raise errors.UsageError(f"there is no error code {code}", hint="`devloop explain` lists them")
    on = settings.color_on(sys.stdout)
    text = f"{output.style(f'{known}: {told.title}', 1, on=on)}\n\n{_fill(told.meaning)}\n\n{_fill(told.action)}"
    output.result(settings, {"v": 1, **_value(known, told)}, text=text, names=[known])


def _value(code: str, told: codes.Code) -> dict[str, str]:
    return {"code": code, **told._asdict()}


def _fill(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _complete(incomplete: str) -> list[str]:
    return [code for code in codes.CODES if code.startswith(incomplete.upper())]
