"""`devloop diff`: where laptop and targets differ."""

from __future__ import annotations

import click

from devloop import errors
from devloop.cli import asking, options, output, project

_WORDS = {
    "drift-changed": "changed in the target by someone else",
    "drift-missing": "missing in the target: removed there by someone else",
    "extra": "only in the target: not shipped by devloop",
    "pending-put": "not sent yet",
    "pending-delete": "not deleted in the target yet",
    "held-delete": "deleted here; its deletion in the target waits for `devloop approve`",
    "problem": "cannot be synced",
}


@click.command("diff", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=project.complete_services)
@options.pass_settings
def command(settings: options.Settings, services: tuple[str, ...]) -> int:
    """List the paths on which laptop and target differ, after looking through the whole target.

    Ends with status 0 when there are none, and 3 when there are.
    """
    rows = asking.ask(settings, "diff", {"services": services}, timeout_s=120.0)
    lines = [_line(row) for row in rows] or ["laptop and targets are the same"]
    output.result(settings, rows, text="\n".join(lines), names=[row["path"] for row in rows])
    return int(errors.Exit.PARTIAL if rows else errors.Exit.OK)


def _line(row: dict[str, str]) -> str:
    where = f"{row['to'].rstrip('/')}/{row['path']}" if row["to"] else row["path"]
    words = _WORDS.get(row["what"], row["what"])
    detail = f" ({row['detail']})" if row["what"] == "problem" else ""
    return output.clean(f"{row['service']}  {where}  {words}{detail}")
