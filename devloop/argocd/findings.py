"""What is found out about an Application's owners, as values; `devloop.argocd.owners` is the door to them."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from devloop.argocd import application, kubeapps


class Kind(enum.StrEnum):
    """What may own an Application, besides people."""

    APPLICATION_SET = "applicationset"
    APP_OF_APPS = "app-of-apps"
    HYDRATOR = "source-hydrator"
    KARGO = "kargo"
    IMAGE_UPDATER = "image-updater"
    TELEFONISTKA = "telefonistka"
    PROMOTER = "gitops-promoter"
    CODEFRESH = "codefresh"


class Effect(enum.StrEnum):
    """What becomes of a change."""

    REVERTS = "reverts"
    BLOCKS = "blocks"
    COMMITS = "commits"
    NOTHING = "nothing"


class Answer(enum.StrEnum):
    """Whether to go on, the worst last."""

    FINE = "fine"
    WARN = "warn"
    REFUSE = "refuse"


class Finding(msgspec.Struct, frozen=True):
    """One owner, and what it means for a change.

    Attributes:
        kind: What it is.
        name: Its object's name, with its namespace where it has one.
        evidence: What shows that it owns the Application.
        effect: What it will do to the change.
        answer: Whether to go on.
        why: The effect in a sentence.
        fix: What makes the change safe, as YAML for Ops; empty where nothing does or nothing is needed.
        where: Which object the YAML belongs into.
        state: How it stands now, such as the step of a progressive sync; empty where nothing is to say.
    """

    kind: Kind
    name: str
    evidence: str
    effect: Effect = Effect.NOTHING
    answer: Answer = Answer.FINE
    why: str = ""
    fix: str = ""
    where: str = ""
    state: str = ""


class Surroundings(msgspec.Struct, frozen=True):
    """What is around Applications in the cluster.

    Attributes:
        applications: All Applications that may be read.
        sets: The ApplicationSets.
        updaters: The objects of Argo CD Image Updater.
        promotions: PromotionStrategies of GitOps Promoter.
        home: The namespace of Argo CD itself.
        unseen: What could not be looked at, and why: an owner may be among it.
    """

    applications: Sequence[application.Application] = ()
    sets: Sequence[application.Raw] = ()
    updaters: Sequence[application.Raw] = ()
    promotions: Sequence[application.Raw] = ()
    home: str = kubeapps.HOME
    unseen: tuple[str, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """What is to be changed in an Application.

    Attributes:
        fields: JSON pointers (RFC 6901) into it, such as `/spec/sources/1/targetRevision`.
        annotations: Annotations that are set with it and have to stay.
    """

    fields: tuple[str, ...]
    annotations: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """What the owners together mean.

    Attributes:
        answer: The worst of the findings' answers.
        findings: Each owner, whatever it means.
        unseen: See `Surroundings.unseen`.
    """

    answer: Answer
    findings: tuple[Finding, ...] = ()
    unseen: tuple[str, ...] = ()

    def of(self, answer: Answer) -> list[Finding]:
        """Return the findings with one answer."""
        return [each for each in self.findings if each.answer is answer]


def worst(some: Sequence[Finding]) -> Answer:
    """Return the worst answer of findings."""
    order = list(Answer)
    return max((each.answer for each in some), key=order.index, default=Answer.FINE)
