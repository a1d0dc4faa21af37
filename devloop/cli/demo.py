"""`devloop demo`: the whole loop on this machine, on a project that it makes itself."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import click

from devloop.cli import demonstration, options


@click.command("demo", cls=options.Verb)
@click.option("--keep", is_flag=True, help="Leave the project there, and go on watching it until Ctrl-C.")
@click.option("--files", default=1000, show_default=True, help="How many files the branch switch changes.")
@options.pass_settings
def command(settings: options.Settings, keep: bool, files: int) -> int:
    """Make a small web app, watch it into a local target, edit it, switch a branch, and show how long each takes."""
    if keep:
        folder = Path(tempfile.mkdtemp(prefix="devloop-demo-"))
        return int(asyncio.run(demonstration.run(folder, files=files, keep=True)))
    with tempfile.TemporaryDirectory(prefix="devloop-demo-") as made:
        return int(asyncio.run(demonstration.run(Path(made), files=files, keep=False)))
