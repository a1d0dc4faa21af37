"""The kinds that devloop makes are those that `down` looks for."""

from __future__ import annotations

from devloop.inject import marks
from devloop.manifests import filter as manifests


def test_every_kind_is_listed_once() -> None:
    assert {marks.LEASES, marks.CLAIMS} <= set(marks.KINDS)
    assert len(set(marks.KINDS)) == len(marks.KINDS)


def test_a_claim_is_labelled_as_in_manifests() -> None:
    assert marks.CLAIM_LABEL == manifests.CLAIM_LABEL
