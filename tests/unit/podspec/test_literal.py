from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.podspec import literal


def kubelet(text: str) -> str:
    """Expand as the kubelet does, where every variable is known and is X."""
    return re.sub(r"\$(\$|\([^)]*\))", lambda found: "$" if found[1] == "$" else "X", text)


@given(st.text("$()ab ", max_size=12))
def test_a_word_comes_through_as_it_is(text: str) -> None:
    assert kubelet(literal.word(text)) == text


@pytest.mark.parametrize("text", ["$HOME", "${HOME}", "a$", "plain"])
def test_what_means_nothing_to_the_kubelet_stays_readable(text: str) -> None:
    assert literal.words([text]) == [text]
