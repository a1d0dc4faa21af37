"""`devloop init`: look at this folder and write a devloop.yaml that works."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from devloop import errors
from devloop.cli import options, output, project
from devloop.config import detect, discover, init

EXISTS_CODE = "DL0209"


@click.command("init", cls=options.Verb)
@click.option("-y", "--yes", is_flag=True, help="Write without asking.")
@click.option("--force", is_flag=True, help="Replace a devloop.yaml that is there.")
@click.option(
    "--workload", default="", metavar="KIND/NAME", help="Write it for this workload, after a look at its pod."
)
@click.option("--container", default="", metavar="NAME", help="Which of its containers.")
@options.pass_settings
def command(settings: options.Settings, yes: bool, force: bool, workload: str, container: str) -> int:
    """Look at this folder and write a commented devloop.yaml that works as it is.

    Without --workload it is for a folder on this machine; with it, for the cluster: command, folder and user are those
    of the pod that runs.
    """
    path = _destination(settings)
    folder = os.path.dirname(path)
    if os.path.lexists(path) and not force:
        raise errors.UsageError(
            f"{os.path.basename(path)} exists already", hint="edit it, or replace it with --force", code=EXISTS_CODE
        )
    try:
        here = init.look(folder)
    except OSError as error:
        raise errors.LocalError(f"the folder {folder} cannot be read: {error.strerror}") from None
    seen = _look_into_cluster(settings, workload, container) if workload else None
    guess = detect.guess(here)
    output.human(settings, _found(guess if seen is None else detect.in_cluster(guess, seen)))
    # Without a terminal there is nobody to ask, and a new file takes nothing from anyone.
    ask = not yes and sys.stdin.isatty()
    if ask and not click.confirm(f"Write {os.path.basename(path)}?", default=True, err=True):
        output.human(settings, "nothing was written")
        return int(errors.Exit.ERROR)
    _write(path, init.render(folder, here, seen))
    output.human(settings, f"wrote {os.path.relpath(path)}")
    if here.in_git:
        _ignore(settings, folder)
    output.human(settings, "next: devloop watch" if seen is None else "next: devloop inject, then devloop watch")
    return int(errors.Exit.OK)


def _look_into_cluster(settings: options.Settings, workload: str, container: str) -> detect.InCluster:
    # Late: only this needs the cluster's client, which takes longer to import than all else here.
    from devloop.kube import client, config, observe, workloads

    reference = workloads.parse(workload)
    choice = config.Choice(kubeconfig=settings.kubeconfig, context=settings.context, namespace=settings.namespace)
    cluster = config.load(choice)

    async def look() -> observe.Running:
        async with client.connect(cluster, lambda: config.load(choice)) as api:
            return await observe.running(api, reference, container)

    found = asyncio.run(look())
    ids = [str(each) for each in (found.uid, found.gid) if each is not None]
    return detect.InCluster(
        workload=str(reference),
        namespace=cluster.namespace,
        context=cluster.context,
        container="" if found.is_only else found.container,
        command=found.command,
        cwd=found.cwd,
        user=":".join(ids) if found.uid else "",
        ports=found.ports,
    )


def _destination(settings: options.Settings) -> str:
    named = os.path.expanduser(settings.file or discover.FILE_NAME)
    path = os.path.normpath(os.path.join(project.current_folder(), named))
    return os.path.join(path, discover.FILE_NAME) if os.path.isdir(path) else path


def _found(guess: detect.Guess) -> str:
    if not guess.command:
        return "found no app that devloop knows how to start: add its command to the file"
    line = guess.command[0] if guess.shell else " ".join(guess.command)
    ports = f", port {', '.join(map(str, guess.ports))}" if guess.ports else ""
    return f"found in {guess.found_in}: {line}{ports}; synced from {guess.source} to {guess.to}"


def _ignore(settings: options.Settings, folder: str) -> None:
    path = os.path.join(folder, ".gitignore")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise errors.LocalError(
            f".gitignore cannot be read: {error.strerror}", hint=f"add {' and '.join(init.PRIVATE)} to it yourself"
        ) from None
    if missing := init.missing_ignores(text):
        _write(path, init.add_ignores(text, missing))
        output.human(settings, f"added {' and '.join(missing)} to .gitignore")


def _write(path: str, text: str) -> None:
    """Write a file whole: beside it first, then in its place."""
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(beside, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
        if os.path.exists(path):
            os.chmod(beside, os.stat(path).st_mode & 0o777)
        os.replace(beside, os.path.realpath(path))
    except OSError as error:
        if os.path.lexists(beside):
            os.unlink(beside)
        raise errors.LocalError(
            f"{path} cannot be written: {error.strerror}", hint="check the folder's rights and space"
        ) from None
