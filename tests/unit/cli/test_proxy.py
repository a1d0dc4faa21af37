"""`devloop proxy`: what one needs to use it, for as long as the watch carries it."""

from __future__ import annotations

import pytest

from devloop import errors
from tests.unit.cli import watched
from tests.unit.cli.run import devloop


def test_it_says_how_to_use_it_and_ends_with_the_watch(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        # An answer like any other: the connection ends with it, as with a watch that ends.
        project.answers["proxy"] = {"host": "127.0.0.1", "port": 1081}
        ended = devloop(capsys, "proxy", "--port", "1081")
    assert "export ALL_PROXY=socks5h://127.0.0.1:1081\n" in ended.out
    assert "--proxy http://127.0.0.1:1081" in ended.out
    assert ended.status == 1 and "the proxy with it" in ended.err
    assert project.asked == [("proxy", {"port": 1081})]


def test_a_taken_port_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["proxy"] = errors.LocalError("taken", hint="another", code="DL0370")
        ended = devloop(capsys, "proxy")
    assert ended.status == 1 and "DL0370" in ended.err and ended.out == ""


def test_without_a_watch_it_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched():
        pass
    ended = devloop(capsys, "proxy")
    assert ended.status == 1 and "DL0340" in ended.err and "devloop watch" in ended.err
