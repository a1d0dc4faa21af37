"""The environment as `devloop env status` shows it: Applications with their owners, services with their way to a file.

`take` looks at the templates checkout; `again` puts changed Applications into a picture that is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from devloop.argocd import (
    application,
    chain,
    checkout,
    environment,
    findings,
    links,
    owners,
    rendered,
)
from devloop.argocd.kustomizations import Wanted


class Shown(msgspec.Struct, frozen=True):
    """One Application.

    Attributes:
        member: It, and why it is there.
        verdict: Who else writes it, and what becomes of a switch to a branch.
        standings: How what was compared stands to the branch, for each source; None where nobody knows.
        links: Web pages, by name.
    """

    member: environment.Member
    verdict: findings.Verdict
    standings: tuple[checkout.Standing | None, ...] = ()
    links: Mapping[str, str] = {}

    @property
    def app(self) -> application.Application:
        """The Application."""
        return self.member.app


class Way(msgspec.Struct, frozen=True):
    """One service, and its way to the file.

    Attributes:
        chain: Pods, what is between, and the workload.
        owner: The Application that renders the workload; None where none does, or it may not be read.
        foreign: The Application's name where it may not be read.
        located: The file; None where there is no checkout, or no owner.
        links: Web pages, by name.
    """

    chain: chain.Chain
    owner: application.Reference | None = None
    foreign: str = ""
    located: rendered.Located | None = None
    links: Mapping[str, str] = {}


class Asked(msgspec.Struct, frozen=True):
    """What the project says that a picture depends on.

    Attributes:
        templates: The folder of the templates checkout; empty where there is none.
        base: Argo CD's address for links; empty where nobody says.
        links: `argocd.links`.
    """

    templates: str = ""
    base: str = ""
    links: Mapping[str, str] = {}


class Picture(msgspec.Struct, frozen=True):
    """The environment.

    Attributes:
        shown: The Applications that are asked for.
        ways: The services.
        related: What is only near.
        around: What the owners were made from, to make them again.
        asked: What the project says.
        clone: The templates checkout; why there is none, or an empty text where none is named.
        way: By which way Applications were read.
    """

    shown: tuple[Shown, ...]
    ways: tuple[Way, ...] = ()
    related: tuple[environment.Member, ...] = ()
    around: findings.Surroundings = findings.Surroundings()
    asked: Asked = Asked()
    clone: checkout.Clone | str = ""
    way: str = ""


async def take(
    found: environment.Environment,
    members: Sequence[environment.Member],
    around: findings.Surroundings,
    asked: Asked,
    way: str = "",
) -> Picture:
    """Make the picture.

    Args:
        found: The environment.
        members: Which Applications to show.
        around: From `surroundings.look`.
        asked: What the project says.
        way: By which way Applications were read.
    """
    clone = await asyncio.to_thread(checkout.find, asked.templates) if asked.templates else ""
    shown = await asyncio.to_thread(lambda: tuple(_shown(each, around, asked, clone) for each in members))
    known = {one.reference: one for one in found.every}
    chains = found.chains
    if not {each.reference for each in found.members} <= {each.reference for each in members}:
        # Only some were asked for, so only what is theirs is told of the services.
        asked_for = {each.reference for each in members}
        chains = tuple(each for each in chains if found.owners.get(each.service) in asked_for)
    ways = await asyncio.to_thread(lambda: tuple(_way(each, found, known, asked, clone) for each in chains))
    return Picture(shown, ways, found.related, around, asked, clone, way)


async def again(picture: Picture, changed: Mapping[application.Reference, application.Application | None]) -> Picture:
    """Return a picture with Applications as they are now; those that are gone are left out.

    Args:
        picture: The one before.
        changed: What they are now; None for one that is gone.
    """
    every = [changed.get(one.reference, one) for one in picture.around.applications]
    around = msgspec.structs.replace(picture.around, applications=tuple(one for one in every if one is not None))

    def shown() -> tuple[Shown, ...]:
        made = []
        for each in picture.shown:
            now = changed.get(each.app.reference, each.app)
            if now is not None:
                member = msgspec.structs.replace(each.member, app=now)
                made.append(_shown(member, around, picture.asked, picture.clone))
        return tuple(made)

    return msgspec.structs.replace(picture, shown=await asyncio.to_thread(shown), around=around)


def base_of(server: str | None, url: str | None, told: str = "") -> str:
    """Return Argo CD's address for links: what the project says, else what Argo CD itself says.

    Args:
        server: `argocd.server`.
        url: `argocd.url`.
        told: `url` of the ConfigMap argocd-cm, where it may be read.
    """
    return (url or server or told).rstrip("/")


def _shown(
    member: environment.Member, around: findings.Surroundings, asked: Asked, clone: checkout.Clone | str
) -> Shown:
    one = member.app
    standings = tuple(_standing(one, at, clone) for at in range(len(one.sources)))
    return Shown(member, owners.verdict(one, around), standings, links.of_application(one, asked.base, asked.links))


def _standing(one: application.Application, at: int, clone: checkout.Clone | str) -> checkout.Standing | None:
    # A hydrator's compared commit is of another branch than the one that its dry source follows.
    if isinstance(clone, str) or one.hydrated or at >= len(one.revisions) or not one.sources[at].is_git:
        return None
    source = one.sources[at]
    remote = checkout.remote_of(clone, source.repo)
    return checkout.standing(clone, remote, source.revision, one.revisions[at])


def _way(
    each: chain.Chain,
    found: environment.Environment,
    known: Mapping[application.Reference, application.Application],
    asked: Asked,
    clone: checkout.Clone | str,
) -> Way:
    owner = found.owners.get(each.service)
    located = None
    if owner is not None and isinstance(clone, checkout.Clone):
        located = rendered.locate(clone, known[owner], Wanted(each.kind, each.name))
    told = links.of_service(each, owner, asked.links)
    return Way(each, owner, found.foreign.get(each.service, ""), located, told)
