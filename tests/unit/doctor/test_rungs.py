"""Which way in can be used, and the reason of each that cannot."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.doctor import facts, report, rungs
from devloop.doctor.report import Rung, Usable
from tests.unit.doctor import test_checks

PLACE = facts.Place("/app", writable=True, kib=4)
POD = facts.Pod(name="web-1", state="ready", places=(PLACE,))
TEMPLATE = facts.Template(container="app", containers=("app",), user=1000)
RIGHTS = {rung: (test_checks.right(),) for rung in ("admission", "ephemeral", "patch")}


def service(**changes: Any) -> facts.Workload:
    whole: dict[str, Any] = {"service": "web", "whose": "deployment/web", "template": TEMPLATE, "pods": (POD,)}
    return facts.Workload(**{**whole, **changes})


def seen(**changes: Any) -> facts.Cluster:
    return test_checks.seen(**{"chart": True, "rungs": RIGHTS, **changes})


def judged(found: facts.Workload, cluster: facts.Cluster) -> dict[Rung, report.Verdict]:
    return {each.rung: each for each in rungs.verdicts(found, cluster)}


def test_where_all_is_well_every_rung_can_be_used_and_the_first_is_the_one() -> None:
    found = rungs.verdicts(service(), seen())
    assert [each.rung for each in found] == list(Rung)
    assert {each.usable for each in found} == {Usable.YES}
    chosen = rungs.first(found)
    assert chosen is not None and chosen.rung is Rung.DECLARED


BROKEN = facts.Webhook(author=errors.ClusterError("the API server cannot call the webhook"))
OBSTACLE = facts.Obstacle("DL0803", "nobody says which user")


@pytest.mark.parametrize(
    ("rung", "found", "cluster", "usable", "part"),
    [
        (Rung.DECLARED, service(template=None, pods=()), seen(), Usable.UNKNOWN, "no pod"),
        (
            Rung.DECLARED,
            service(template=facts.Template(container="app", containers=("app",), obstacles=(OBSTACLE,))),
            seen(),
            Usable.NO,
            "nobody says",
        ),
        (Rung.ADMISSION, service(), seen(chart=False), Usable.NO, "not installed"),
        (Rung.ADMISSION, service(), seen(chart=facts.Unknown("silence")), Usable.UNKNOWN, "silence"),
        (Rung.ADMISSION, service(), seen(webhook=BROKEN), Usable.NO, "cannot call the webhook"),
        (Rung.ADMISSION, service(), seen(webhook=facts.Webhook(author="")), Usable.NO, "no webhook looks"),
        (Rung.ADMISSION, service(), seen(webhook=facts.Webhook(author="ann")), Usable.YES, "the chart is installed"),
        (Rung.EPHEMERAL, service(), seen(server=facts.Server(1, 24, "v1.24.9")), Usable.NO, "needs Kubernetes 1.25"),
        (
            Rung.EPHEMERAL,
            service(template=facts.Template(container="app", containers=("app",), supervised=True)),
            seen(),
            Usable.NO,
            "supervise",
        ),
        (
            Rung.EPHEMERAL,
            service(pods=(facts.Pod(name="w", state="s", places=(facts.Place("/app", False),)),)),
            seen(),
            Usable.NO,
            "/app cannot be written: the app's user may not",
        ),
        (Rung.EPHEMERAL, service(pods=(facts.Pod(name="w", state="s"),)), seen(), Usable.UNKNOWN, "nobody could try"),
        (Rung.EPHEMERAL, service(pods=()), seen(), Usable.NO, "no pod runs"),
        (Rung.PATCH, service(template=None), seen(), Usable.NO, "selector"),
        (Rung.PATCH, service(whose="rollout/web"), seen(), Usable.NO, "rollout"),
        (Rung.PATCH, service(), seen(rungs={}), Usable.UNKNOWN, "not asked"),
    ],
)
def test_why_not(rung: Rung, found: facts.Workload, cluster: facts.Cluster, usable: Usable, part: str) -> None:
    verdict = judged(found, cluster)[rung]
    assert verdict.usable is usable and part in verdict.reason


@pytest.mark.parametrize("rung", [Rung.ADMISSION, Rung.EPHEMERAL, Rung.PATCH])
def test_a_missing_right_is_named(rung: Rung) -> None:
    denied = (test_checks.right("patch", "x", allowed=False),)
    verdict = judged(service(), seen(rungs={**RIGHTS, rung: denied}))[rung]
    assert (verdict.usable, verdict.reason) == (Usable.NO, "you may not patch x")
    unsure = (test_checks.right(allowed=facts.Unknown("silence")),)
    assert judged(service(), seen(rungs={**RIGHTS, rung: unsure}))[rung].usable is Usable.UNKNOWN


def test_a_read_only_root_is_why_a_running_pod_cannot_be_joined() -> None:
    pod = facts.Pod(name="w", state="s", places=(facts.Place("/app", False),))
    template = facts.Template(container="app", containers=("app",), read_only=True)
    assert "read-only" in judged(service(template=template, pods=(pod,)), seen())[Rung.EPHEMERAL].reason


def test_an_agent_that_is_there_is_counted_whatever_stands_in_its_way_now() -> None:
    there = facts.Pod(name="a", state="ready", agent="running")
    template = facts.Template(container="app", containers=("app",), obstacles=(OBSTACLE,))
    verdict = judged(service(template=template, pods=(there, POD)), seen())[Rung.DECLARED]
    assert (verdict.usable, verdict.reason) == (Usable.YES, "the agent is in 1 of 2 pods")


@pytest.mark.parametrize(
    ("cluster", "may"),
    [
        (seen(), True),
        (seen(chart=False), False),
        (seen(chart=facts.Unknown("silence")), False),
        (seen(rungs={"admission": (test_checks.right(allowed=False),)}), False),
    ],
)
def test_whether_sessions_are_a_way_in_at_all(cluster: facts.Cluster, may: bool) -> None:
    assert rungs.may_ask_for_sessions(cluster) is may
