"""The words of a link decide whether it leads out of its root."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import intake


@pytest.mark.parametrize(
    ("path", "link", "expected"),
    [
        ("a", b"b", False),
        ("a", b".", False),
        ("a", b"..", True),
        ("d/a", b"..", False),
        ("d/a", b"../..", True),
        ("d/a", b"../x/../../y", True),
        ("d/a", b"x/../../y", False),
        ("a", b"/x", True),
        ("a", b"//", True),
        ("d/a", b".././/./x", False),
        ("a", b"C:\\x", False),
    ],
)
def test_links(path: str, link: bytes, expected: bool) -> None:
    assert intake.escapes(path, link) is expected


SEGMENTS = st.lists(st.sampled_from(["a", "b", "..", ".", ""]), min_size=1, max_size=6).map("/".join)


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join), SEGMENTS.filter(bool))
def test_a_link_that_passes_leads_into_the_root(path: str, link: str) -> None:
    base = "/root/of/the/tree"
    if not intake.escapes(path, link.encode()):
        led = os.path.normpath(os.path.join(base, os.path.dirname(path), link))
        assert led == base or led.startswith(base + "/")
