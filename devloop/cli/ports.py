"""`devloop ports`: what is forwarded, and more or less of it while the watch runs."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from devloop import errors
from devloop.cli import asking, options, output, project
from devloop.config import model, values
from devloop.daemon import client
from devloop.sync import status


@click.command("ports", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.argument("action", required=False, type=click.Choice(["add", "rm"]))
@click.argument("ports", nargs=-1, metavar="[PORT]…")
@click.option("--service", default="", metavar="NAME", help="Whose pod `add 8080:80` means.")
@options.pass_settings
def command(settings: options.Settings, action: str | None, ports: tuple[str, ...], service: str) -> int:
    """Show the forwarded ports: where they lead, what carries them, what went wrong last.

    `devloop ports add 8080:80` forwards a port of the service's pod, `devloop ports add db:5432` one of another
    service, until the watch ends; `devloop ports rm 8080` takes one away. The grammar is that of devloop.yaml.
    """
    if action is None:
        return _show(settings)
    if not ports:
        raise errors.UsageError(f"`devloop ports {action}` needs a port", hint=f"devloop ports {action} 8080")
    if action == "add":
        rows = asking.ask(settings, "ports-add", {"ports": ports, "service": service}, timeout_s=30.0)
        lines = [f"{row['local']} -> {row['to']}" for row in rows]
    else:
        rows = asking.ask(settings, "ports-rm", {"ports": ports}, timeout_s=30.0)
        lines = [f"no longer forwarded: {row['local']} -> {row['to']}" for row in rows]
    names = [row["local"] for row in rows]
    output.result(settings, rows, text="\n".join(map(output.clean, lines)), names=names)
    return int(errors.Exit.OK)


def _show(settings: options.Settings) -> int:
    try:
        found: list[dict[str, Any]] = asking.ask(settings, "ports")
        exit_status = errors.Exit.OK
    except client.NotWatchingError as error:
        found = msgspec.to_builtins(declared(project.loaded(settings).config))
        if not found:
            raise
        output.human(settings, f"{error.message}: nobody carries these; start it with `devloop watch`")
        exit_status = errors.Exit.ERROR
    rows = msgspec.convert(found, tuple[status.ForwardStatus, ...])
    text = ""
    if settings.output == "text":
        from devloop.ui import ports as view

        text = view.render(rows, color=settings.color_on(sys.stdout))
    output.result(settings, found, text=text, names=[row.local for row in rows])
    failed = any(row.state == "failed" for row in rows)
    return int(errors.Exit.PARTIAL if failed else exit_status)


def declared(config: model.Config) -> list[status.ForwardStatus]:
    """Return what devloop.yaml declares, as rows of the table that nobody carries."""
    rows = []
    for name, service in config.services.items():
        rows += [_row("ports", name, each, f"pod port {each.port}") for each in service.ports]
        rows += [_row("reverse", name, each, f"pod port {each.port}") for each in service.reverse]
    return rows + [_row("forwards", "", each, f"{each.host}:{each.port}") for each in config.forwards]


def _row(kind: str, service: str, forward: values.Forward, to: str) -> status.ForwardStatus:
    return status.ForwardStatus(kind, service, values.local_told(forward), to, "not carried")
