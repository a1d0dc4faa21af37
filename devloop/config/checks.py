"""What a valid devloop.yaml must not say: rules between fields, between syncs, and about the disk.

`check` is pure and runs when the file is loaded; `look_at_sources` looks at the `from` folders and runs when somebody
is about to sync, because a folder may come and go while the file stays the same.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from devloop.config import model, values
from devloop.core import paths

CONFLICT_CODE: Final = "DL0207"

Loc: TypeAlias = tuple[str | int, ...]


class Finding(msgspec.Struct, frozen=True):
    """Something that is wrong.

    Attributes:
        loc: Keys and list indexes that lead to it.
        message: What is wrong.
        hint: How to mend it.
        is_key: The key itself is what is wrong, not its value.
    """

    loc: Loc
    message: str
    hint: str = ""
    is_key: bool = False


def check(config: model.Config) -> Iterator[Finding]:
    """Yield everything that contradicts something else, in the order of the model."""
    if not config.services and not config.forwards:
        yield Finding(("services",), "there is nothing to do", "add a service, or run `devloop init` in an empty place")
    for name, service in config.services.items():
        at: Loc = ("services", name)
        yield from _check_destination(at, service)
        yield from _check_reload(at, service)
        yield from _check_targets_of_syncs(at, service.sync)
        yield from _check_local_only(at, service)
    yield from _check_containers(config)
    yield from _check_folders(config)
    yield from _check_ports(config)


def _check_destination(at: Loc, service: model.Service) -> Iterator[Finding]:
    given = [key for key in ("workload", "selector", "target") if getattr(service, key) is not None]
    if not given:
        yield Finding(
            at, "it says nowhere to sync to", "add workload: deployment/NAME, or target: {local: ./.devloop/NAME}", True
        )
    for other in given[1:]:
        yield Finding((*at, other), f"{given[0]} and {other} exclude each other", "keep one of them", True)


def _check_reload(at: Loc, service: model.Service) -> Iterator[Finding]:
    reload, at_reload = service.reload, (*at, "reload")
    if reload.mode is model.Mode.SIGNAL and reload.signal is None:
        yield Finding(at_reload, "mode: signal does not say which signal", "add signal: HUP")
    if reload.mode is model.Mode.COMMAND and reload.run is None:
        yield Finding(at_reload, "mode: command does not say what to run", "add run: [nginx, -s, reload]")
    if reload.signal is not None and reload.mode is not model.Mode.SIGNAL:
        yield Finding(
            (*at_reload, "signal"), f"signal means nothing with mode: {reload.mode}", "write mode: signal", True
        )
    if reload.run is not None and reload.mode is not model.Mode.COMMAND:
        yield Finding((*at_reload, "run"), f"run means nothing with mode: {reload.mode}", "write mode: command", True)
    if service.target is None or service.command is not None:
        return
    if reload.mode in {model.Mode.SUPERVISE, model.Mode.SIGNAL}:
        yield Finding(
            at_reload,
            f"mode: {reload.mode} has no app on a local target unless `command` says which",
            "add command: [python, app.py] to the service",
        )


def _check_local_only(at: Loc, service: model.Service) -> Iterator[Finding]:
    if service.target is None:
        return
    for key in ("container", "image", "run_as", "persist", "persist_size"):
        if getattr(service, key):
            yield Finding((*at, key), f"{key} means nothing on a local target", "remove it, or name a workload", True)


def _check_targets_of_syncs(at: Loc, syncs: Sequence[model.Sync]) -> Iterator[Finding]:
    for index, later in enumerate(syncs):
        for earlier in syncs[:index]:
            if values.contains(earlier.to, later.to) or values.contains(later.to, earlier.to):
                yield Finding(
                    (*at, "sync", index, "to"),
                    f"{later.to} and {earlier.to} overlap: two syncs would fight over the same files",
                    "make them one sync, or sync to folders beside each other",
                )


def _check_containers(config: model.Config) -> Iterator[Finding]:
    seen: dict[tuple[values.Workload, str | None], str] = {}
    for name, service in config.services.items():
        if service.workload is None:
            continue
        first = seen.setdefault((service.workload, service.container), name)
        if first != name:
            yield Finding(
                ("services", name, "workload"),
                f"{first} and {name} are the same container of {service.workload}",
                "make them one service with several syncs, or name two containers",
            )


def _check_folders(config: model.Config) -> Iterator[Finding]:
    targets = [(name, service.target.local) for name, service in config.services.items() if service.target]
    for index, (name, folder) in enumerate(targets):
        for other, other_folder in targets[:index]:
            if values.contains(folder, other_folder) or values.contains(other_folder, folder):
                yield Finding(
                    ("services", name, "target", "local"),
                    f"the targets of {other} and {name} overlap",
                    "give each service a folder of its own",
                )
    for name, service in config.services.items():
        for index, sync in enumerate(service.sync):
            for _, folder in targets:
                if clash := clash_of(sync.source, folder):
                    yield Finding(("services", name, "sync", index, "from"), clash, _CLASH_HINT)


_CLASH_HINT: Final = "use a target folder elsewhere, such as ./.devloop/NAME"


def clash_of(source: str, target: str) -> str:
    """Return why a `from` folder and a local target cannot be used together, or an empty string.

    A target inside `from` is harmless where a folder that is never synced (`.devloop`) lies between.

    Args:
        source: The `from` folder, absolute.
        target: The target's folder, absolute.
    """
    if values.contains(target, source):
        return f"the folder {source} lies in the local target {target}"
    if not values.contains(source, target):
        return ""
    between = os.path.relpath(target, source).split("/")
    return "" if paths.RESERVED.intersection(between) else f"the local target {target} lies in the folder {source}"


def _check_ports(config: model.Config) -> Iterator[Finding]:
    taken: dict[tuple[str, int], Loc] = {}
    wanted: list[tuple[Loc, values.Forward]] = [
        (("services", name, "ports", index), forward)
        for name, service in config.services.items()
        for index, forward in enumerate(service.ports)
    ]
    wanted += [(("forwards", index), forward) for index, forward in enumerate(config.forwards)]
    for loc, forward in wanted:
        if forward.local_first != forward.local_last:
            continue
        first = taken.setdefault((forward.bind, forward.local_first), loc)
        if first != loc:
            owner = first[1] if first[0] == "services" else "forwards"
            yield Finding(
                loc,
                f"the local port {forward.local_first} is taken by {owner} already",
                f"choose another one, such as {forward.local_first + 1}:{_there(forward)}",
            )


def _there(forward: values.Forward) -> str:
    return f"{forward.host}:{forward.port}" if forward.host else str(forward.port)


def look_at_sources(config: model.Config, services: Sequence[str] = ()) -> Iterator[tuple[str, int, Finding]]:
    """Look at the `from` folders, and yield service, index and reason of the syncs that cannot run now.

    Args:
        config: The loaded file.
        services: Only these; all by default.
    """
    targets = [os.path.realpath(service.target.local) for service in config.services.values() if service.target]
    for name, service in config.services.items():
        if services and name not in services:
            continue
        for index, sync in enumerate(service.sync):
            if finding := _check_source(("services", name, "sync", index, "from"), sync, targets):
                yield name, index, finding


def _check_source(loc: Loc, sync: model.Sync, targets: Sequence[str]) -> Finding | None:
    folder = sync.source
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return Finding(loc, f"the folder {folder} does not exist", "create it, or mend the path")
    except NotADirectoryError:
        return Finding(loc, f"{folder} cannot be reached: a part of the path is a file", "mend the path")
    except OSError as error:
        return Finding(loc, f"the folder {folder} cannot be reached: {error.strerror}", "mend the path or its rights")
    if not stat.S_ISDIR(status.st_mode):
        return Finding(loc, f"{folder} is not a folder", "name the folder that holds it")
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(loc, f"the folder {folder} may not be read", f"chmod u+rx {folder}")
    for target in targets:
        if clash := clash_of(os.path.realpath(folder), target):
            return Finding(loc, clash, _CLASH_HINT)
    return None
