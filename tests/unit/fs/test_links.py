"""Which links are shipped."""

import pytest

from devloop.fs import links


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("l", b"f"),
        ("l", b"a/b"),
        ("l", b"."),
        ("l", b"a/.."),
        ("a/l", b".."),
        ("a/b/l", b"../../c"),
        ("a/l", b"../b//./c"),
        ("l", b"nowhere"),
        ("l", b"\xff"),
        ("l", b"..."),
    ],
)
def test_links_that_stay_inside_are_shipped(path: str, target: bytes) -> None:
    assert links.refusal(path, target) == ""


@pytest.mark.parametrize(
    ("path", "target", "why"),
    [
        ("l", b"/", "absolute"),
        ("l", b"/etc/passwd", "absolute"),
        ("l", b"..", "out of"),
        ("a/l", b"../..", "out of"),
        ("a/l", b"../../a/f", "out of"),
        ("l", b"a/../../l", "out of"),
        ("l", b"./..\xff/../..", "out of"),
    ],
)
def test_links_that_are_absolute_or_escape_are_refused(path: str, target: bytes, why: str) -> None:
    assert why in links.refusal(path, target)


def test_followed_links_stay_within_their_boundary() -> None:
    assert links.beyond("/home/me/p/lib", "/home/me/p") == ""
    assert links.beyond("/home/me/p", "/home/me/p") == ""
    assert links.beyond("/x", "/") == ""
    assert "out of" in links.beyond("/home/me/pp", "/home/me/p")
    assert "out of" in links.beyond("/etc", "/home/me/p")
    assert "never synced" in links.beyond("/home/me/p/.git/config", "/home/me/p")
