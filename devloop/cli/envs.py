"""What the verbs of `devloop env` have in common: the way to Applications, which ones are meant, how they are told.

A verb opens `opened`, picks its Applications by `Opened.environment` and `named`, and prints by `devloop.cli.output`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from devloop import errors
from devloop.argocd import application, backend, choice, environment, names, picture, surroundings
from devloop.cli import clustered, options, project
from devloop.state import identity

if TYPE_CHECKING:
    from devloop.config import load, model
    from devloop.kube import client

F = TypeVar("F", bound=Callable[..., Any])


class Opened(NamedTuple):
    """What a verb works with.

    Attributes:
        settings: The global options.
        loaded: The project; None where there is no devloop.yaml.
        api: The cluster of the services.
        apps: The way to Applications.
    """

    settings: options.Settings
    loaded: load.Project | None
    api: client.Client
    apps: backend.Backend

    @property
    def said(self) -> model.Argocd | None:
        """What devloop.yaml says of Argo CD."""
        return self.loaded.config.argocd if self.loaded is not None else None

    @property
    def templates(self) -> str:
        """The folder of the templates checkout; empty where the project names none."""
        return (self.said.templates if self.said is not None else None) or ""

    async def picture(self, texts: Sequence[str]) -> picture.Picture:
        """Look at the environment as a whole; see `picture.take`.

        Args:
            texts: Which Applications; all of the environment where there are none.
        """
        found = await self.environment()
        chosen = named(found, texts)
        members = {each.reference: each for each in (*found.members, *found.related)}
        other = environment.Why.OTHER
        around = await surroundings.look(self.api, found.every, chosen, found.home)
        said = self.said
        told = "" if said is not None and (said.url or said.server) else await surroundings.url(self.api, found.home)
        asked = picture.Asked(
            self.templates,
            picture.base_of(said.server if said else None, said.url if said else None, told),
            dict(said.links) if said is not None else {},
        )
        some = [members.get(one.reference) or environment.Member(one, other) for one in chosen]
        return await picture.take(found, some, around, asked, self.apps.way)

    async def environment(self) -> environment.Environment:
        """Find the environment; see `environment.survey`."""
        services = self.loaded.config.services if self.loaded is not None else {}
        return await environment.survey(self.api, self.apps, self.said, services)


@contextlib.asynccontextmanager
async def opened(settings: options.Settings) -> AsyncIterator[Opened]:
    """Open the way to Applications, with a project or without one.

    Raises:
        ConfigError: devloop.yaml is wrong, or the one that is named is not there.
        ClusterError: The cluster or Argo CD cannot be reached.
    """
    loaded = project_of(settings)
    said = loaded.config.argocd if loaded is not None else None
    async with clustered.connection(settings, loaded) as api, choice.opened(api, said, user()) as apps:
        yield Opened(settings, loaded, api, apps)


def project_of(settings: options.Settings) -> load.Project | None:
    """Return the project, or None where there is no devloop.yaml and none is asked for."""
    try:
        found = project.find(settings)
    except errors.ConfigError:
        if settings.file:
            raise
        return None
    from devloop.config import load

    return load.load(found.file, shown=found.shown)


def user() -> str:
    """Return who is said to have begun a sync: by the laptop, since Argo CD shows it to people."""
    return f"devloop/{identity.owner()}"


def named(found: environment.Environment, texts: Sequence[str]) -> list[application.Application]:
    """Return the Applications that a verb's arguments mean: any that may be read by name, else all of the environment.

    Raises:
        NotThereError: A named one is not there; or no name was given and there is no environment.
        UsageError: A name means several.
    """
    if texts:
        return names.picked(found.every, texts)
    if not found.members:
        raise nothing(found)
    return list(found.applications)


def nothing(found: environment.Environment) -> errors.NotThereError:
    """Return the error for a project without any Application."""
    elsewhere = ", ".join(sorted(set(found.foreign.values())))
    if elsewhere:
        message = f"the services belong to {elsewhere}, which is not there or may not be read"
        hint = "ask for `get` and `list` on applications.argoproj.io (config/rbac/argocd), or check argocd.namespace"
    else:
        message = "no Application belongs to this project"
        hint = "name one as argocd.application in devloop.yaml; `devloop env list --all` lists all that you may read"
    return errors.NotThereError(message, hint=hint, code="DL1012")


def reference(one: application.Reference) -> dict[str, str]:
    """Return a reference as JSON has it in every verb."""
    return {"namespace": one.namespace, "name": one.name}


def application_argument() -> Callable[[F], F]:
    """Return the decorator for a verb's Applications: `[APPLICATION]…`, as NAME or NAMESPACE/NAME."""
    return click.argument("applications", nargs=-1, metavar="[APPLICATION]…")
