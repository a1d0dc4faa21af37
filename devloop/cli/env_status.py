"""`devloop env status`: how the Applications stand, who owns them, and where each service comes from."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from devloop import errors
from devloop.cli import envoptions, options, output

if TYPE_CHECKING:
    from devloop.argocd import application, picture
    from devloop.cli import envs
    from devloop.ui import screen

_HELP: Final = """\
Show how the Applications of this environment stand: sync, health, what they follow and what runs, who else writes them
and what becomes of a switch to a branch; and for each service the way from its pods to the file in the templates
checkout (argocd.templates).

With names, only those; any that you may read. -v tells the evidence for each owner, and the YAML that Ops can add.
Exit status: 0, or 3 where an Application is not synced and healthy.
"""

# Between two looks at what changed.
_PACE_S: Final = 0.3
# What `-o json` says of a state that is as it should be.
_WELL: Final = ("Synced", "Healthy")


@click.command("status", cls=options.Verb, formats=("text", "json", "yaml"), help=_HELP)
@envoptions.applications
@click.option("-w", "--watch", "watching", is_flag=True, help="Show it again whenever something changes.")
@options.pass_settings
def command(settings: options.Settings, applications: tuple[str, ...], watching: bool) -> int:
    """Show the environment."""
    return asyncio.run(_status(settings, applications, watching=watching))


async def _status(settings: options.Settings, names: tuple[str, ...], *, watching: bool) -> int:
    from devloop.cli import envs

    async with envs.opened(settings) as env:
        found = await env.picture(names)
        if watching:
            await _follow(env, found)
        else:
            _tell(settings, found)
    return int(_exit_of(found))


def _exit_of(found: picture.Picture) -> errors.Exit:
    well = all((each.app.sync, each.app.health) == _WELL for each in found.shown)
    return errors.Exit.OK if well else errors.Exit.PARTIAL


def _tell(settings: options.Settings, found: picture.Picture) -> None:
    from devloop.argocd import told

    text = _text(settings, found) if settings.output == "text" else ""
    output.result(settings, told.whole(found), text=text)


def _text(settings: options.Settings, found: picture.Picture) -> str:
    from devloop.ui import environment

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    return environment.render(
        found,
        now_s=time.time(),
        color=settings.color_on(sys.stdout),
        width=width,
        verbose=settings.verbosity > 0,
    )


async def _follow(env: envs.Opened, first: picture.Picture) -> None:
    """Tell the picture, and again whenever an Application changes, until interrupted."""
    shown = {each.app.reference: each.app for each in first.shown}
    news: dict[application.Reference, application.Application | None] = {}
    changed = asyncio.Event()

    def tell(which: application.Reference, one: application.Application | None) -> None:
        news[which] = one
        changed.set()

    with errors.single():
        async with asyncio.TaskGroup() as group:
            group.create_task(env.apps.follow(list(shown), tell))
            group.create_task(_draw(env.settings, first, news, changed))


async def _draw(
    settings: options.Settings,
    found: picture.Picture,
    news: dict[application.Reference, application.Application | None],
    changed: asyncio.Event,
) -> None:
    from devloop.argocd import picture

    views = _View(settings)
    views.show(found, None)
    try:
        while True:
            await changed.wait()
            changed.clear()
            taken, before = dict(news), found
            news.clear()
            found = await picture.again(found, taken)
            views.show(found, before)
            # A sync changes an Application many times a second.
            await asyncio.sleep(_PACE_S)
    finally:
        views.close()


class _View:
    """A screen that is drawn again, lines of JSON, or plain lines of what changed: by where they go."""

    def __init__(self, settings: options.Settings) -> None:
        self._settings = settings
        self._screen: screen.Screen | None = None
        self._last: picture.Picture | None = None
        if settings.output == "text" and sys.stdout.isatty():
            from rich.console import Console

            from devloop.ui import screen as drawing

            self._screen = drawing.Screen(Console())

    def show(self, found: picture.Picture, before: picture.Picture | None) -> None:
        """Show a picture.

        Args:
            found: It.
            before: The one that was shown last; None at first.
        """
        self._last = found
        if self._settings.output != "text":
            from devloop.argocd import told

            if before is None or _apps(before) != _apps(found):
                output.data(json.dumps(told.whole(found), ensure_ascii=False))
        elif self._screen is not None:
            from rich.text import Text

            lines = _text(self._settings, found).splitlines()
            self._screen.draw([], [Text.from_ansi(line) for line in lines])
        elif before is None:
            output.data(_text(self._settings, found))
        else:
            self._changes(before, found)
        sys.stdout.flush()

    def _changes(self, before: picture.Picture, found: picture.Picture) -> None:
        from devloop.ui import applications

        old, new = _apps(before), _apps(found)
        for which in sorted(old.keys() | new.keys()):
            for line in applications.changes(old.get(which), new.get(which)):
                output.data(line)

    def close(self) -> None:
        """Leave what was shown last, whole."""
        if self._screen is not None and self._last is not None:
            self._screen.clear()
            output.data(_text(self._settings, self._last))


def _apps(found: picture.Picture) -> dict[application.Reference, application.Application]:
    return {each.app.reference: each.app for each in found.shown}
