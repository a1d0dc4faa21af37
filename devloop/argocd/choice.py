"""Which way to Applications is taken: Argo CD's REST API where the project names its server, else the Kubernetes API.

Never both, and never one after the other: rights, names in messages and what can be rendered differ between the two, so
whoever reads a refusal must know which one refused.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from devloop.argocd import application, backend, kubeapps

if TYPE_CHECKING:
    from devloop.config import model
    from devloop.kube import client


@contextlib.asynccontextmanager
async def opened(api: client.Client, said: model.Argocd | None, user: str) -> AsyncIterator[backend.Backend]:
    """Open the way that the project asks for.

    Args:
        api: The cluster that the services run in.
        said: `argocd:` of devloop.yaml, if there is one.
        user: Who is said to have begun a sync.

    Raises:
        CredentialsError: The server is not one that a token may be sent to, or the login there cannot be read.
    """
    if said is None or said.server is None:
        home = said.namespace if said is not None else None
        yield kubeapps.KubeApplications(api, user, [home] if home else [])
        return
    # Imported only where a server is named: it brings logins and an HTTP client of its own.
    from devloop.argocd import login, rest, server

    async with server.connect(login.find(said.server, os.environ)) as connected:
        yield rest.RestApplications(connected)


def home(said: model.Argocd | None, every: Iterable[application.Application] = ()) -> str:
    """Return the namespace of Argo CD itself, which a tracking annotation without one means, as far as it is known.

    Args:
        said: `argocd:` of devloop.yaml, whose namespace is that of its Applications.
        every: Applications: they say who keeps them, since Argo CD 2.5.
    """
    told = next((one.home for one in every if one.home), "")
    return told or (said.namespace if said is not None else None) or kubeapps.HOME
