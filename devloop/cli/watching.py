"""The three ways to watch: as the watching process, by joining one, by starting one in the background."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

import devloop
from devloop import errors
from devloop.cli import options, output
from devloop.config import load, values
from devloop.daemon import app, bus, client, keyed, podlogs
from devloop.podspec import names
from devloop.state import dirs
from devloop.sync import events
from devloop.ui import view

# How long a background watch may take to be in sync before its starter stops waiting; it goes on by itself.
DETACH_TIMEOUT_S: Final = 120.0

# How long a background watch whose services have all stopped may take to end: if it is going to, it does at once.
STOPPED_TIMEOUT_S: Final = 2.0

# The background process: the devloop that stands beside this very file.
_RUN: Final = "import sys; sys.path.insert(0, sys.argv.pop(1)); from devloop.cli.main import main; main()"


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks.

    Attributes:
        services: Only these; all where empty.
        once: End when everything is in sync.
        takeover: Take sessions over from other owners.
        plain: No live screen.
        rung: How the agent gets into pods.
        agent_image: The agent's image; empty for the published one.
        logs: Show what the containers print.
        hold: How long connections to forwarded ports wait for a pod, as it was written; empty for the project's.
    """

    services: tuple[str, ...]
    once: bool
    takeover: bool
    plain: bool
    rung: app.Way = app.Way.FIRST
    agent_image: str = ""
    logs: bool = False
    hold: str = ""


def foreground(settings: options.Settings, project: load.Project, asked: Asked) -> errors.Exit:
    """Be the watching process."""
    return asyncio.run(_foreground(settings, project, asked))


async def _foreground(settings: options.Settings, project: load.Project, asked: Asked) -> errors.Exit:
    wanted = app.Options(
        services=asked.services,
        once=asked.once,
        takeover=asked.takeover,
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        namespace=settings.namespace,
        rung=asked.rung,
        agent_image=asked.agent_image or names.AGENT_IMAGE,
        logs=tuple(_log_reader(settings, project, asked)) if asked.logs else (),
        hold_s=values.duration_s(asked.hold) if asked.hold else None,
    )
    daemon = app.Daemon(project.config, project.folder, wanted)
    screen = _screen(settings, asked, _acts(daemon))
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        daemon.stop("interrupted")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt)
    async with asyncio.TaskGroup() as group:
        shown = group.create_task(_show(daemon.bus.subscribe(), screen))
        try:
            status = await daemon.run()
        finally:
            daemon.bus.close()
            await asyncio.wait([shown])
            screen.close()
    if interrupted and asked.once:
        return errors.Exit.INTERRUPTED
    return status


def _acts(daemon: app.Daemon) -> Callable[[str], None]:
    """Return what the live screen's keys do."""

    def act(name: str) -> None:
        match name:
            case "quit":
                daemon.stop("quit")
            case "pause":
                keyed.pause(daemon)
            case "approve":
                daemon.spawn(keyed.approve(daemon))
            case "restart":
                daemon.spawn(keyed.restart(daemon))
            case "flush":
                daemon.spawn(keyed.flush(daemon))
            case "diff":
                daemon.spawn(keyed.diff(daemon))
            case _:
                pass

    return act


async def _show(events_of: bus.Subscription, screen: view.View) -> None:
    async for event in events_of:
        if bus.log_lines(event) and screen.is_threaded:
            # A terminal that does not take what is printed holds up this view, and the sync goes on.
            await asyncio.to_thread(screen.show, event)
        else:
            screen.show(event)


def _screen(settings: options.Settings, asked: Asked, act: Callable[[str], None] | None = None) -> view.View:
    """Return the view that suits: JSON where asked for, the live screen on a terminal, else lines."""
    if settings.output == "json":
        from devloop.ui import jsonlines

        return jsonlines.JsonView(sys.stdout.buffer)
    if act is not None and not asked.plain and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        from devloop.ui import live

        return live.open_on_terminal(act, color=settings.color_on(sys.stdout))
    from devloop.ui import text

    return text.TextView(sys.stdout, sys.stderr, color=settings.color_on(sys.stderr))


def join(settings: options.Settings, project: load.Project, asked: Asked) -> errors.Exit | None:
    """Follow the process that watches this project already; None where there is none."""
    talker = client.Client(dirs.project(project.folder).socket)
    if not talker.alive():
        return None
    if asked.once:
        states = talker.ask("flush", {"services": asked.services}, timeout_s=60.0)
        return errors.Exit.OK if all(state == "in sync" for state in states.values()) else errors.Exit.PARTIAL
    for flag in _flags(asked.rung):
        output.human(settings, f"how the agent gets in was decided by the watch that runs, not by {flag}")
    if asked.logs:
        output.human(settings, "whether logs are shown was decided by the watch that runs; see `devloop logs -f`")
    output.human(settings, "joining the devloop that watches this project; Ctrl-C leaves it running")
    joined = msgspec.structs.replace(asked, plain=True)
    screen = _screen(settings, joined)
    try:
        for line in talker.follow(recent=True):
            screen.show(events.from_json(line))
    finally:
        screen.close()
    return errors.Exit.OK


def detach(settings: options.Settings, project: load.Project, asked: Asked) -> errors.Exit:
    """Start a watching process in the background, and return when it is in sync or has failed."""
    places = dirs.project(project.folder)
    log_path = os.path.join(places.logs, "watch.log")
    command = _background(settings, project, asked)
    with open(log_path, "wb") as log:
        os.fchmod(log.fileno(), 0o600)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=project.folder, start_new_session=True
        )
    try:
        states = _until_in_sync(client.Client(places.socket), process, asked)
    except errors.DevloopError:
        _show_log(settings, log_path)
        raise
    output.human(settings, f"watching in the background (process {process.pid}); log in {log_path}")
    for name, state in states.items():
        output.human(settings, f"{name}: {state}")
    return errors.Exit.OK if all(state == "in sync" for state in states.values()) else errors.Exit.PARTIAL


def _log_reader(settings: options.Settings, project: load.Project, asked: Asked) -> list[str]:
    """Return the command line of the process that reads logs for a watch; none where no service is in a cluster."""
    services = project.config.services
    there = [name for name in asked.services or services if services[name].target is None]
    chosen = {
        "--file": project.file,
        "--kubeconfig": settings.kubeconfig,
        "--context": settings.context,
        "--namespace": settings.namespace,
    }
    return podlogs.command(_run(), there, chosen) if there else []


def _run() -> list[str]:
    return [sys.executable, "-P", "-c", _RUN, str(Path(devloop.__file__).resolve().parent.parent)]


def _background(settings: options.Settings, project: load.Project, asked: Asked) -> list[str]:
    """Return the command line of the same watch as a process of its own."""
    command = [*_run(), "watch", "--plain", "--file", project.file, *asked.services]
    if asked.takeover:
        command.append("--takeover")
    command += _flags(asked.rung)
    if asked.logs:
        command.append("--logs")
    if asked.agent_image:
        command += ["--agent-image", asked.agent_image]
    if asked.hold:
        command += ["--hold", asked.hold]
    chosen = (("--kubeconfig", settings.kubeconfig), ("--context", settings.context), ("-n", settings.namespace))
    return command + [word for flag, value in chosen if value for word in (flag, value)]


def _flags(rung: app.Way) -> list[str]:
    """Return what asks for a way in on the command line."""
    flags = {app.Way.DECLARED: "--no-attach", app.Way.ATTACH: "--attach", app.Way.PATCH: "--patch"}
    return [flags[rung]] if rung in flags else []


def _until_in_sync(talker: client.Client, process: subprocess.Popen[bytes], asked: Asked) -> dict[str, str]:
    while not talker.alive():
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise errors.LocalError("the background watch ended at once", hint="its output is above", code="DL0342")
    states: dict[str, str] = talker.ask(
        "flush", {"services": asked.services, "timeout_s": DETACH_TIMEOUT_S}, timeout_s=DETACH_TIMEOUT_S + 10
    )
    if all(state == "stopped" for state in states.values()):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOPPED_TIMEOUT_S)
            raise errors.LocalError("the background watch has ended", hint="its output is above", code="DL0342")
    # It outlives this process, which has no more to do with it.
    process.returncode = 0
    return states


def _show_log(settings: options.Settings, path: str) -> None:
    with open(path, encoding="utf-8", errors="backslashreplace") as log:
        for line in log.read().splitlines()[-20:]:
            output.human(settings, line)
