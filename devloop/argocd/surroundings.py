"""Looks for what may own Applications: ApplicationSets, and the objects of promotion tools, in the cluster.

What is not installed is not there; what may not be read is said, for an owner may be among it. Nothing is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from devloop import errors
from devloop.argocd import application, findings, kubeapps
from devloop.kube import client, paths

# What is looked for, with the words for it.
SETS: Final = (kubeapps.VERSION, "applicationsets", "ApplicationSets")
UPDATERS: Final = ("argocd-image-updater.argoproj.io/v1alpha1", "imageupdaters", "ImageUpdaters")
# What all users of Argo CD may know of its settings is in there as well: `url`.
_SETTINGS: Final = "argocd-cm"
PROMOTIONS: Final = ("promoter.argoproj.io/v1alpha1", "promotionstrategies", "PromotionStrategies")


async def look(
    api: client.Client, every: Sequence[application.Application], some: Iterable[application.Application], home: str
) -> findings.Surroundings:
    """Find what is around Applications.

    Args:
        api: The cluster that Argo CD's objects are in.
        every: All Applications that may be read; a parent may be among them.
        some: Those that it is about: their namespaces are looked in where others may not be listed.
        home: The namespace of Argo CD itself.

    Raises:
        ClusterError: The cluster does not answer, or not to this user.
    """
    places = tuple(dict.fromkeys([home, *(one.reference.namespace for one in some)]))
    unseen: list[str] = []
    with errors.single():
        async with asyncio.TaskGroup() as group:
            sets, updaters, promotions = (
                group.create_task(_every(api, *kind, places, unseen)) for kind in (SETS, UPDATERS, PROMOTIONS)
            )
    if sets.result() is None and every:
        # Argo CD's own API knows Applications, and this cluster does not know their kind.
        unseen.append(
            "Argo CD is in another cluster, and so are ApplicationSets, ImageUpdaters and PromotionStrategies"
        )
    return findings.Surroundings(
        applications=tuple(every),
        sets=sets.result() or (),
        updaters=updaters.result() or (),
        promotions=promotions.result() or (),
        home=home,
        unseen=tuple(sorted(unseen)),
    )


async def url(api: client.Client, home: str) -> str:
    """Return the address that Argo CD says to be its own; empty where it says none, or not to this user.

    Args:
        api: The cluster that Argo CD is in.
        home: Its namespace.
    """
    try:
        found = await api.get(paths.of("v1", "configmaps", home, _SETTINGS))
    except (errors.NotThereError, errors.ForbiddenError):
        return ""
    said = application.text(application.mapping(found, "data"), "url")
    return said if said.startswith(("http://", "https://")) else ""


async def _every(
    api: client.Client, version: str, plural: str, words: str, places: Sequence[str], unseen: list[str]
) -> tuple[application.Raw, ...] | None:
    """Return all objects of a kind, of the whole cluster or else of some namespaces; None where the kind is unknown."""
    try:
        return (await api.list(paths.of(version, plural))).items
    except errors.NotThereError:
        return None
    except errors.ForbiddenError:
        pass
    found: list[application.Raw] = []
    for place in places:
        try:
            found += (await api.list(paths.of(version, plural, place))).items
        except errors.NotThereError:
            return None
        except errors.ForbiddenError as error:
            unseen.append(f"{words} in {place}: {error.message}")
    return tuple(found)
