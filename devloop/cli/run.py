"""`devloop run`: a command on the laptop with the variables of a service's container."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from devloop import errors
from devloop.cli import commanding, options, output, project

if TYPE_CHECKING:
    from devloop.config import load, model
    from devloop.shell import podenv

_HELP: Final = """\
Run a command on this machine with the variables of a service's container.

\b
  devloop run -- python manage.py test
  devloop run --service api --env-file .env
  devloop run --print

They come from the container's spec, with its ConfigMaps and Secrets, or, where those may not be read, from the running
process by exec. Variables that say where things are on a machine stay this machine's: PATH, HOME and others;
docs/exec.md has the list. --print shows what a command would get, with secrets masked.
"""

_SOURCES: Final = ("spec", "process")


@click.command("run", cls=options.Verb, help=_HELP, options_metavar="[OPTIONS]", formats=("text", "json", "name"))
@click.argument("words", nargs=-1, metavar="-- COMMAND…")
@click.option("--service", metavar="NAME", default="", shell_complete=project.complete_services, help="The service.")
@click.option("--from", "origin", type=click.Choice(_SOURCES), help="Where the variables come from.")
@click.option("--env-file", metavar="FILE", default="", help="Write them to a file, `-` for standard output.")
@click.option("--env-format", type=click.Choice(("sh", "docker")), default="sh", help="How that file is quoted.")
@click.option("--force", is_flag=True, help="Replace that file where it is there.")
@click.option("--exclude", metavar="PATTERN", multiple=True, help="Leave variables out, such as 'AWS_*'.")
@click.option("--include", metavar="PATTERN", multiple=True, help="Take such as are left alone by default.")
@click.option("--print", "printing", is_flag=True, help="Show them, with secrets masked.")
@click.option("--mask/--no-mask", default=False, help="Mask secrets in what the command prints.")
@click.option("--pod", metavar="NAME", default="", help="One of the service's pods.")
@click.option("-c", "--container", metavar="NAME", default="", help="A container of it; the service's by default.")
@options.pass_settings
def command(
    settings: options.Settings,
    words: tuple[str, ...],
    service: str,
    origin: str | None,
    env_file: str,
    env_format: str,
    force: bool,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    printing: bool,
    mask: bool,
    pod: str,
    container: str,
) -> int:
    """Run it."""
    from devloop.shell import choice

    if not (words or env_file or printing):
        raise errors.UsageError("nothing to do", hint="give a command after --, or --print, or --env-file FILE")
    if env_file == "-" and sys.stdout.isatty() and not force:
        raise errors.UsageError(
            "secrets would be shown on the terminal", hint="--print masks them; --force shows them all the same"
        )
    loaded = project.loaded(settings)
    _, spec = commanding.service_of(loaded, service)
    made = _of_target(spec) if spec.target is not None else _of_pod(settings, loaded, spec, origin, pod, container)
    env, left = choice.chosen(made.env, exclude, include)
    hidden = choice.secrets(env, made.secret)
    if left:
        output.human(settings, f"devloop: left alone: {', '.join(sorted(left))}", verbosity=1)
    if printing:
        shown = choice.shown(env, hidden)
        lines = "\n".join(output.clean(f"{name}={value}") for name, value in sorted(shown.items()))
        output.result(settings, shown, text=lines, names=sorted(shown))
    if env_file:
        _write(settings, env, env_file, env_format, force=force)
    if not words:
        return int(errors.Exit.OK)
    return commanding.reported(lambda: _run(words, env, [env[name] for name in hidden] if mask else None))


def _run(words: tuple[str, ...], env: dict[str, str], masked: list[str] | None) -> int:
    from devloop.shell import become, masking

    here = become.Here(words, {**os.environ, **env})
    if masked is None:
        become.become(here)
    return asyncio.run(masking.run(here, masked))


def _of_target(spec: model.Service) -> podenv.Made:
    from devloop.shell import podenv

    return podenv.Made(dict(spec.env))


def _of_pod(
    settings: options.Settings, loaded: load.Project, spec: model.Service, origin: str | None, pod: str, container: str
) -> podenv.Made:
    from devloop.cli import clustered
    from devloop.shell import find, gather

    say = commanding.sayer(settings)

    async def read() -> podenv.Made:
        async with clustered.connection(settings, loaded) as api:
            found = await find.find(api, spec, say, pod=pod, container=container)
            return await gather.gather(api, found, gather.Origin(origin) if origin else None, say)

    return asyncio.run(read())


def _write(settings: options.Settings, env: dict[str, str], path: str, form: str, *, force: bool) -> None:
    from devloop.shell import dotenv

    say: Callable[[str], None] = commanding.sayer(settings)
    content, lost = dotenv.text(env, form)
    if lost:
        say(f"cannot be written in the form of {form}, and are left out: {', '.join(lost)}")
    if path == "-":
        sys.stdout.buffer.write(content.encode("utf-8", "surrogateescape"))
        sys.stdout.flush()
        return
    dotenv.write(path, content, force=force)
    say(f"{len(env) - len(lost)} variables are in {path}; keep it out of git")
