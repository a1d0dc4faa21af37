"""The parts of devloop in a template are told from others'."""

from __future__ import annotations

import copy

import pytest

from devloop import errors
from devloop.inject import template
from devloop.podspec import inject, names, outcome, request
from tests.unit.inject import fake_cluster

SERVICE = request.Service("web", (request.Sync("/app"),))


def original() -> outcome.Tree:
    found: outcome.Tree = fake_cluster.deployment()["spec"]["template"]
    return found


def injected() -> outcome.Tree:
    return inject.inject(original(), SERVICE, request.Platform("agent:1")).pod


def test_without_devloops_parts_it_is_the_original() -> None:
    assert template.without(original(), "") == original()
    assert template.without(injected(), "") == original()


@pytest.mark.parametrize("spoilt", [None, "{"])
def test_a_lost_or_spoilt_annotation_is_made_good_by_the_record(spoilt: str | None) -> None:
    record = template.record_of(injected())
    made = copy.deepcopy(injected())
    if spoilt is None:
        del made["metadata"]["annotations"]
    else:
        made["metadata"]["annotations"][names.ANNOTATION] = spoilt
    assert template.without(made, record) == original()


def test_without_either_nothing_is_guessed() -> None:
    made = injected()
    made["metadata"]["annotations"][names.ANNOTATION] = "{"
    with pytest.raises(errors.RefusedError, match="cannot be read"):
        template.without(made, "")
