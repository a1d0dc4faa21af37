"""`devloop pull`: take over what the app made, now."""

from __future__ import annotations

import click

from devloop import errors
from devloop.cli import asking, options, output


@click.command("pull", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.argument("paths", nargs=-1, metavar="[PATH]…")
@click.option("--service", "services", multiple=True, metavar="NAME", help="Only of this service.")
@options.pass_settings
def command(settings: options.Settings, paths: tuple[str, ...], services: tuple[str, ...]) -> int:
    """Take over files that a sync's `pull:` names and the app made or changed, without waiting for the next look.

    A file that was changed on both sides is not replaced: the pod's version goes to .devloop/conflicts.
    """
    rows = asking.ask(settings, "pull", {"paths": paths, "services": services}, timeout_s=120.0)
    lines = [_line(row) for row in rows] or ["nothing to pull"]
    output.result(settings, rows, text="\n".join(lines), names=[row["path"] for row in rows])
    return int(errors.Exit.PARTIAL if any(row["conflict"] for row in rows) else errors.Exit.OK)


def _line(row: dict[str, str]) -> str:
    if row["conflict"]:
        return output.clean(f"{row['path']}: changed on both sides; the pod's version is in {row['conflict']}")
    return output.clean(f"{row['path']}: pulled")
