from __future__ import annotations

import pytest

from devloop.argocd import findings
from devloop.argocd.findings import Answer, Finding, Kind

FINE, WARN = Finding(Kind.CODEFRESH, "a", "x"), Finding(Kind.KARGO, "b", "x", answer=Answer.WARN)
REFUSE = Finding(Kind.APP_OF_APPS, "c", "x", answer=Answer.REFUSE)


@pytest.mark.parametrize(
    ("some", "answer"),
    [([], Answer.FINE), ([FINE], Answer.FINE), ([WARN, FINE], Answer.WARN), ([REFUSE, WARN], Answer.REFUSE)],
)
def test_the_worst_answer_counts(some: list[Finding], answer: Answer) -> None:
    assert findings.worst(some) is answer


def test_findings_by_answer() -> None:
    assert findings.Verdict(Answer.WARN, (FINE, WARN)).of(Answer.WARN) == [WARN]
