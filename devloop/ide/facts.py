"""What editors are to know of a project: where it lies in the workspace, its services, their debuggers and folders.

Made from devloop.yaml and the command line, without a look at the disk; `vscode` and `jetbrains` write it down in their
editor's words.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from devloop import errors
from devloop.config import model, values
from devloop.ide import debuggers

_ANY: Final = {"", "0.0.0.0", "::", "localhost"}  # noqa: S104  addresses to compare with, not to bind to


class Folder(msgspec.Struct, frozen=True):
    """A folder on both sides.

    Attributes:
        here: On the laptop, absolute.
        there: Where the app finds the same files, absolute.
    """

    here: str
    there: str


class Attach(msgspec.Struct, frozen=True):
    """How a debugger reaches a service from the laptop.

    Attributes:
        kind: Which debugger.
        host: The laptop's address.
        port: The laptop's port.
    """

    kind: debuggers.Kind
    host: str
    port: int


class Service(msgspec.Struct, frozen=True):
    """A service as editors see it.

    Attributes:
        name: Its name.
        folders: What is synced; a folder within another stands before it.
        main: The first sync's folder.
        attach: How it is debugged, if it is.
        notes: What its user should know.
    """

    name: str
    folders: tuple[Folder, ...]
    main: Folder
    attach: Attach | None = None
    notes: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True):
    """A project as editors see it.

    Attributes:
        workspace: The folder that the editor has open, absolute.
        folder: The project's folder, absolute, in the workspace.
        services: Its services.
    """

    workspace: str
    folder: str
    services: tuple[Service, ...]

    @property
    def within(self) -> str:
        """Return the project's folder relative to the workspace; empty where it is that."""
        return "" if self.folder == self.workspace else os.path.relpath(self.folder, self.workspace)

    @property
    def suffix(self) -> str:
        """Return what tells this project's entries from those of another one in the same workspace."""
        return f" ({self.within})" if self.within else ""

    def at(self, variable: str, path: str) -> str:
        """Return a path in terms of the editor's variable for the workspace, or as it is where it lies outside."""
        if not values.contains(self.workspace, path):
            return path
        relative = os.path.relpath(path, self.workspace)
        return variable if relative == "." else f"{variable}/{relative}"


def gather(
    config: model.Config,
    folder: str,
    workspace: str,
    *,
    chosen: Mapping[str, debuggers.Found],
    followed: Mapping[str, Sequence[tuple[str, str]]],
) -> Facts:
    """Return the facts.

    Args:
        config: devloop.yaml.
        folder: Its folder, absolute.
        workspace: The folder that the editor has open, absolute.
        chosen: The debuggers that the command line names, by service.
        followed: By `from` folder: links in it that are followed, and the folders that they lead to.

    Raises:
        UsageError: The project does not lie in the workspace, or a named service is not in it.
    """
    if not values.contains(workspace, folder):
        raise errors.UsageError(
            f"the project {folder} does not lie in the workspace {workspace}", hint="name a folder above it"
        )
    for name in chosen:
        if name not in config.services:
            known = ", ".join(config.services)
            raise errors.UsageError(f"{config.name} has no service {name!r}", hint=f"one of {known}")
    services = [_service(name, spec, chosen.get(name), followed) for name, spec in config.services.items()]
    return Facts(workspace, folder, tuple(services))


def _service(
    name: str,
    spec: model.Service,
    chosen: debuggers.Found | None,
    followed: Mapping[str, Sequence[tuple[str, str]]],
) -> Service:
    root = spec.target.local.rstrip("/") if spec.target else ""
    folders = []
    for sync in spec.sync:
        linked = followed.get(sync.source, ()) if sync.symlinks is model.Symlinks.FOLLOW else ()
        folders += [Folder(target, f"{root}{sync.to}/{link}") for link, target in linked]
        folders.append(Folder(sync.source, root + sync.to))
    found = chosen or debuggers.detect(spec)
    attach, notes = (None, [f"no debugger: {debuggers.HOW.format(name=name)}"]) if not found else _attach(spec, found)
    main = Folder(spec.sync[0].source, root + spec.sync[0].to)
    return Service(name, tuple(folders), main, attach, tuple(notes))


def _attach(spec: model.Service, found: debuggers.Found) -> tuple[Attach, list[str]]:
    if found.kind is debuggers.Kind.PYDEVD:
        reverse = any(forward.port == found.port for forward in spec.reverse)
        note = f'pydevd connects from the app to the IDE: add reverse: ["{found.port}"] to the service'
        return Attach(found.kind, "localhost", found.port), [] if reverse or spec.target else [note]
    forward = next((each for each in spec.ports if each.port == found.port), None)
    if spec.target is not None:
        return Attach(found.kind, "127.0.0.1", found.port), []
    if forward is None:
        note = f'port {found.port} of {found.kind} is not on localhost: add "{found.port}" to `ports:` of the service'
        return Attach(found.kind, "127.0.0.1", found.port), [note]
    notes = []
    if forward.local_last > forward.local_first:
        notes.append(
            f"port {found.port} may get any of {forward.local_first}-{forward.local_last}: the entry has the first"
        )
    host = "127.0.0.1" if forward.bind in _ANY else forward.bind
    return Attach(found.kind, host, forward.local_first), notes
