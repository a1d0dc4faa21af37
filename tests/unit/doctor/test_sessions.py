"""What the facts about sessions, their webhook and the budgets mean."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.doctor import facts, report, sessions
from devloop.doctor.report import Level

WELL: dict[str, Any] = {
    "name": "devloop-admission",
    "service": "devloop-system/devloop-admission",
    "pods_policy": "Ignore",
    "sessions_policy": "Fail",
    "bundles": 2,
    "hooks": 2,
    "ready": 1,
}


def hook(author: Any = "ann", **changes: Any) -> dict[str, report.Line]:
    found = facts.Webhook(author=author, configuration=facts.Configuration(**{**WELL, **changes}))
    return {line.name: line for line in sessions.webhook(found)}


def test_a_webhook_where_all_is_well() -> None:
    found = hook()
    assert [(name, str(line.level)) for name, line in found.items()] == [
        ("webhook", "pass"),
        ("webhook configuration", "pass"),
        ("webhook endpoints", "pass"),
    ]
    assert found["webhook"].text == "it answers, and knows you as ann"
    assert list(sessions.webhook(None)) == []


def test_one_that_nobody_can_call_is_told_in_the_api_servers_words() -> None:
    broken = errors.ClusterError(
        "the API server cannot call the webhook: x509: unknown authority", hint="h", code="DL0821"
    )
    line = hook(broken)["webhook"]
    assert (line.level, line.text, line.fix, line.code) == (Level.FAIL, broken.message, "h", "DL0821")


def test_a_session_without_an_author_means_that_nobody_looks() -> None:
    line = hook("")["webhook"]
    assert line.level is Level.FAIL and "without an author" in line.text and "MutatingWebhookConfiguration" in line.fix


@pytest.mark.parametrize(
    ("changes", "name", "level", "words"),
    [
        ({"bundles": 1}, "webhook configuration", Level.FAIL, "no caBundle yet"),
        ({"sessions_policy": "Ignore"}, "webhook configuration", Level.FAIL, "without an author"),
        ({"pods_policy": "Fail"}, "webhook configuration", Level.WARN, "stops every new pod"),
        ({"ready": 0}, "webhook endpoints", Level.FAIL, "no pod is ready behind devloop-system/devloop-admission"),
        ({"ready": facts.Unknown("you may not")}, "webhook endpoints", Level.UNKNOWN, "you may not"),
    ],
)
def test_what_is_wrong_with_it_comes_with_its_fix(changes: dict[str, Any], name: str, level: Level, words: str) -> None:
    line = hook(**changes)[name]
    assert line.level is level and words in line.text and line.fix


def test_what_cannot_be_read_or_is_not_there() -> None:
    unseen = facts.Webhook(author=facts.Unknown("no answer"), configuration=facts.Unknown("you may not list"))
    assert [line.level for line in sessions.webhook(unseen)] == [Level.UNKNOWN, Level.UNKNOWN]
    none = facts.Webhook(author="ann", configuration=None)
    assert [line.level for line in sessions.webhook(none)] == [Level.PASS, Level.FAIL]


def held(**changes: Any) -> report.Line:
    told = {"name": "deployment-web", "owner": "ann@laptop", "injected": ("web-1",), "tried": "", **changes}
    (line,) = sessions.session("service/web", facts.Session(**told))
    return line


def test_a_session_whose_pods_come_with_the_agent() -> None:
    line = held()
    assert line.level is Level.PASS
    assert line.text == (
        "deployment-web of ann@laptop: the agent came into web-1; a pod that was only tried came with it"
    )
    assert list(sessions.session("g", None)) == []
    (unknown,) = sessions.session("g", facts.Unknown("you may not get devsessions"))
    assert unknown.level is Level.UNKNOWN


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"passed": {"web-2": "the container nope is not in the pod"}}, Level.WARN, "the container nope"),
        ({"stray": ("web-2",), "injected": ()}, Level.FAIL, "never saw web-2"),
        ({"tried": "nobody looked at it"}, Level.FAIL, "nobody looked at it"),
        ({"tried": facts.Unknown("you may not create pods")}, Level.PASS, "was not tried: you may not create pods"),
        ({"tried": facts.Unknown("x"), "injected": ()}, Level.UNKNOWN, "no pod was made for it yet"),
    ],
)
def test_what_became_of_its_pods(changes: dict[str, Any], level: Level, words: str) -> None:
    line = held(**changes)
    assert line.level is level and words in line.text
    assert line.fix or level in (Level.PASS, Level.UNKNOWN)


def test_budgets() -> None:
    assert list(sessions.budgets("g", ())) == []
    (well,) = sessions.budgets("g", (facts.Budget("web", 1, 1, 2),))
    assert (well.level, well.text) == (Level.PASS, "web needs 1 healthy pods, and 2 are: 1 may be evicted now")
    (keeps,) = sessions.budgets("g", (facts.Budget("web", 0, 1, 1),))
    assert (keeps.level, keeps.code) == (Level.WARN, "DL0785") and "none may be evicted now" in keeps.text and keeps.fix
    (two,) = sessions.budgets("g", (facts.Budget("a", 1), facts.Budget("b", 1)))
    assert two.level is Level.FAIL and two.text.startswith("a and b hold for the same pods")
    (unknown,) = sessions.budgets("g", facts.Unknown("you may not list poddisruptionbudgets"))
    assert unknown.level is Level.UNKNOWN and unknown.fix
