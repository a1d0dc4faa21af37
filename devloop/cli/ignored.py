"""`devloop ignored`: why a path is shipped or not."""

from __future__ import annotations

import os
from typing import Any

import click

from devloop import errors
from devloop.cli import options, output, project
from devloop.config import model
from devloop.core import paths as relpaths


@click.command("ignored", cls=options.Verb, formats=("text", "json", "yaml", "name"))
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@options.pass_settings
def command(settings: options.Settings, paths: tuple[str, ...]) -> int:
    """Say for each path whether it is shipped, and which rule of which file decides.

    Ends with status 0 when at least one of them is ignored, and 1 when none is, as `git check-ignore` does.
    """
    from devloop.fs import ignore

    loaded = project.loaded(settings)
    rows: list[dict[str, Any]] = []
    known: dict[str, ignore.Ignore] = {}
    for path in paths:
        absolute = os.path.normpath(os.path.join(project.current_folder(), path))
        homes = _homes(loaded.config.services.values(), absolute)
        if not homes:
            rows.append(_plain(path, "", "ignored: no sync covers it", ignored=True))
        for to, sync in homes:
            at = sync.source
            if at not in known:
                known[at] = ignore.Ignore(at, ignore=sync.ignore, include=sync.include)
                known[at].load()
            rows.append(_row(path, to, known[at], os.path.relpath(absolute, at)))
    ignored = [row for row in rows if row["ignored"]]
    output.result(settings, rows, text="\n".join(_line(row) for row in rows), names=[row["path"] for row in ignored])
    return int(errors.Exit.OK if ignored else errors.Exit.ERROR)


def _homes(services: Any, absolute: str) -> list[tuple[str, model.Sync]]:
    return [
        (sync.to, sync)
        for service in services
        for sync in service.sync
        if absolute == sync.source or absolute.startswith(sync.source.rstrip("/") + "/")
    ]


def _row(path: str, to: str, rules: Any, relative: str) -> dict[str, Any]:
    if relative == os.curdir:
        return _plain(path, to, "not ignored: the root of the sync", ignored=False)
    reserved = next((part for part in relative.split("/") if part in relpaths.RESERVED), None)
    if reserved is not None:
        return _plain(path, to, f"ignored: {reserved} is never synced", ignored=True)
    told = rules.explain(relative)
    source = told.rule.location() if told.rule is not None else ""
    rule = told.rule.shown() if told.rule is not None else ""
    return {"path": path, "ignored": told.ignored, "to": to, "source": source, "rule": rule, "why": told.reason()}


def _plain(path: str, to: str, why: str, *, ignored: bool) -> dict[str, Any]:
    return {"path": path, "ignored": ignored, "to": to, "source": "", "rule": "", "why": why}


def _line(row: dict[str, Any]) -> str:
    return output.clean(f"{row['path']}  {row['why']}")
