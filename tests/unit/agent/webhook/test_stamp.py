from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.webhook import review, stamp
from devloop.podspec import devsession
from tests.unit.agent.webhook import objects
from tests.unit.agent.webhook.test_jsonpatch import applied

ALICE = review.User("alice", "u-1", ("devs", "system:authenticated"), {"scopes": ("a",)})
AS_STORED = {
    "name": "alice",
    "uid": "u-1",
    "groups": ["devs", "system:authenticated"],
    "extra": {"scopes": ["a"]},
}
MALLORY = review.User("mallory")


def asked(user: review.User, new: dict[str, Any], old: dict[str, Any] | None = None) -> review.Request:
    return review.Request("u", "UPDATE" if old else "CREATE", "dev", user, new, old)


def test_the_author_is_who_asks_whatever_they_wrote() -> None:
    for author in ({}, {"name": "alice", "groups": ["system:masters"]}):
        done = stamp.decide(asked(ALICE, objects.session(author=author)))
        assert done.author == ALICE.author() and not done.answer.refusal
        raw = objects.session(author=author)
        stored = applied(raw, list(done.answer.patch))
        assert stored == {**raw, "spec": {**raw["spec"], "author": AS_STORED}}


def test_a_session_without_author_gets_one() -> None:
    raw = objects.session()
    del raw["spec"]["author"]
    done = stamp.decide(asked(ALICE, raw))
    assert done.answer.patch == ({"op": "add", "path": "/spec/author", "value": AS_STORED},)


def test_a_forged_author_is_refused() -> None:
    done = stamp.decide(asked(MALLORY, objects.session()))
    assert "you are mallory, not alice" in done.answer.refusal and done.author is None


def test_a_heartbeat_asks_for_nobodys_rights() -> None:
    raw = objects.session()
    assert stamp.decide(asked(MALLORY, {**raw, "status": {"renewTime": "x"}}, raw)) == stamp.Stamped(review.Answer())


@pytest.mark.parametrize(
    ("user", "change", "why"),
    [
        (MALLORY, {"env": [{"name": "A", "value": "b"}]}, "is alice's; you are mallory"),
        (ALICE, {"author": {"name": "root"}}, "spec.author is written by"),
        (ALICE, {"author": {"name": "alice", "groups": ["system:masters"]}}, "spec.author is written by"),
        (ALICE, {"workload": {"kind": "Deployment", "name": "other"}}, "stays with its workload"),
    ],
)
def test_a_change_that_is_not_theirs_is_refused(user: review.User, change: dict[str, Any], why: str) -> None:
    done = stamp.decide(asked(user, objects.session(**change), objects.session()))
    assert why in done.answer.refusal and done.author is None


def test_the_author_may_change_what_it_asks_for_and_is_asked_for_rights_again() -> None:
    done = stamp.decide(asked(ALICE, objects.session(supervise=True), objects.session()))
    assert not done.answer.refusal and done.author == ALICE.author()


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"syncs": [{"to": "/etc"}]}, "/etc"),
        ({"syncs": []}, "spec.syncs"),
        ({"syncs": [{"to": "/a"}, {"to": "/a/b"}]}, "overlap"),
        ({"workload": {"kind": "Job", "name": "x"}}, "kind of workload Job"),
        ({"runAs": {"user": 0}}, "spec.runAs.user"),
        ({"service": 3}, "spec.service"),
        ({"probes": "never"}, "spec.probes"),
    ],
)
def test_what_no_pod_could_have_is_refused_with_its_place(spec: dict[str, Any], why: str) -> None:
    assert why in stamp.decide(asked(ALICE, objects.session(**spec))).answer.refusal


def test_what_is_no_session_is_refused() -> None:
    assert "no DevSession" in stamp.decide(asked(ALICE, {})).answer.refusal


def test_an_unreadable_old_one_is_not_changed() -> None:
    assert "delete it" in stamp.decide(asked(ALICE, objects.session(), {"spec": 1})).answer.refusal


def test_the_author_is_compared_as_it_is_stored() -> None:
    assert msgspec.convert(AS_STORED, devsession.Author) == ALICE.author()
