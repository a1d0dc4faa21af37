"""The one line that says why."""

import pytest

from devloop.core import explanation, rules

(RULE,) = rules.parse(b"\n*.log\n", b"", ".gitignore")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (explanation.Explanation("a", True, RULE), "ignored: .gitignore:2: *.log"),
        (explanation.Explanation("d/a", True, RULE, "d"), "ignored: .gitignore:2: *.log (the folder d)"),
        (explanation.Explanation("a", False), "not ignored: no rule matches"),
        (explanation.Explanation("a", False, RULE), "not ignored: .gitignore:2: *.log"),
        (
            explanation.Explanation("a", False, tracked=True, overruled=RULE),
            "not ignored: git tracks it, in spite of .gitignore:2: *.log",
        ),
    ],
)
def test_the_reason_names_what_decided(subject: explanation.Explanation, expected: str) -> None:
    assert subject.reason() == expected
