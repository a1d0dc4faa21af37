"""The verdict on a change: the worst of what the owners do to it."""

from __future__ import annotations

from devloop.argocd import application, findings, owners
from devloop.argocd.findings import Answer, Kind
from tests.unit.argocd import samples

KARGO = {"kargo.akuity.io/authorized-stage": "shop:dev"}


def owned() -> application.Application:
    raw = samples.raw()
    raw["metadata"] |= {"annotations": {**KARGO, "codefresh.io/product": "shop"}}
    return application.read(raw)


def test_an_application_that_nobody_owns_is_fine() -> None:
    found = owners.verdict(application.read(samples.raw()), findings.Surroundings(unseen=("x",)))
    assert (found.answer, found.findings, found.unseen) == (Answer.FINE, (), ("x",))


def test_the_worst_counts_and_all_are_told() -> None:
    found = owners.verdict(owned(), findings.Surroundings())
    assert found.answer is Answer.REFUSE
    assert [each.kind for each in found.findings] == [Kind.KARGO, Kind.CODEFRESH]


def test_it_depends_on_what_is_changed() -> None:
    assert owners.verdict(owned(), findings.Surroundings(), [owners.POLICY]).answer is Answer.WARN
    repo = owners.verdict(owned(), findings.Surroundings(), ["/spec/source/repoURL"])
    assert repo.answer is Answer.REFUSE


def test_where_revisions_are() -> None:
    single = application.read(samples.raw())
    several = application.read(samples.raw(sources=[{"repoURL": "a", "chart": "c"}, {"repoURL": "b"}]))
    dry = application.read(samples.raw(sourceHydrator={"drySource": {"repoURL": "a"}}))
    assert owners.revisions(single) == ("/spec/source/targetRevision",)
    assert owners.revisions(several) == ("/spec/sources/1/targetRevision",)
    assert owners.revisions(dry) == ("/spec/sourceHydrator/drySource/targetRevision",)
    assert owners.revisions(application.read({})) == ()
