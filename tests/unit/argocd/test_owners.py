from __future__ import annotations

from devloop.argocd import application, owners
from tests.unit.argocd import samples


def test_an_application_that_nobody_owns_is_fine() -> None:
    found = owners.verdict(application.read(samples.raw()), owners.Surroundings(unseen=("x",)))
    assert (found.answer, found.findings, found.unseen) == (owners.Answer.FINE, (), ("x",))
