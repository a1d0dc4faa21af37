"""`devloop env open`: Argo CD's page of an Application, the repository's, or a link of devloop.yaml, in the browser."""

from __future__ import annotations

import asyncio
import webbrowser
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from devloop import errors
from devloop.cli import options, output, project

if TYPE_CHECKING:
    from devloop.argocd import picture

_UNKNOWN: Final = "DL1013"

_HELP: Final = """\
Open a web page of the environment: argocd, repo, or a name of argocd.links in devloop.yaml.

Without --app and --service it is the first one that has such a page, in the order of `devloop env status`.
"""


@click.command("open", cls=options.Verb, help=_HELP)
@click.argument("name", default="argocd", metavar="[argocd|repo|NAME]")
@click.option("-a", "--app", "application", metavar="APPLICATION", help="Of this Application.")
@click.option(
    "-s", "--service", metavar="SERVICE", shell_complete=project.complete_services, help="Of this service's pods."
)
@click.option("--print", "printing", is_flag=True, help="Print the address, and open nothing.")
@options.pass_settings
def command(settings: options.Settings, name: str, application: str | None, service: str | None, printing: bool) -> int:
    """Open a page."""
    if application and service:
        raise errors.UsageError("--app and --service exclude each other", hint="keep one of them")
    address = asyncio.run(_address(settings, name, application or "", service or ""))
    if printing or not _opened(address):
        output.data(address)
        if not printing:
            output.human(settings, "devloop: no browser could be started here")
    else:
        output.human(settings, f"devloop: opened {address}")
    return int(errors.Exit.OK)


def _opened(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False


async def _address(settings: options.Settings, name: str, application: str, service: str) -> str:
    from devloop.cli import envs

    async with envs.opened(settings) as env:
        if service and env.loaded is not None:
            project.check_services(env.loaded, (service,))
        found = await env.picture((application,) if application else ())
    pages = list(_pages(found, only_applications=bool(application), service=service))
    address = next((address for known, address in pages if known == name), "")
    if address:
        return address
    known = sorted({each for each, _ in pages})
    hint = options.meant(name, known) if known else "there are none: set argocd.server or argocd.url, and argocd.links"
    if name == "argocd":
        hint = "say where Argo CD is: argocd.server or argocd.url in devloop.yaml"
    raise errors.UsageError(f"there is no page {name!r}", hint=hint, code=_UNKNOWN)


def _pages(found: picture.Picture, *, only_applications: bool, service: str) -> Iterator[tuple[str, str]]:
    if not service:
        for shown in found.shown:
            yield from shown.links.items()
    if not only_applications:
        for way in found.ways:
            if service in {"", way.chain.service}:
                yield from way.links.items()
