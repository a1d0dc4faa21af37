"""SOCKS5 by its bytes: what is granted, what is refused and how, and nothing else does any harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.ports import socks

GREETING = b"\x05\x01\x00"


def asked(*parts: bytes) -> tuple[socks.Conversation, bytes]:
    said = socks.Conversation()
    return said, b"".join(said.feed(part) for part in parts)


def named(host: bytes, port: int = 80, command: int = 1) -> bytes:
    return bytes([5, command, 0, 3, len(host)]) + host + port.to_bytes(2, "big")


@pytest.mark.parametrize(
    ("request_", "host", "port"),
    [
        (named(b"web.shop.svc", 8080), "web.shop.svc", 8080),
        (b"\x05\x01\x00\x01\x0a\x00\x00\x07\x00\x50", "10.0.0.7", 80),
        (b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x01\xbb", "::1", 443),
        (named(b"a" * 63 + b".b", 65535), "a" * 63 + ".b", 65535),
    ],
)
def test_a_request_is_read_however_it_is_cut(request_: bytes, host: str, port: int) -> None:
    whole = GREETING + request_ + b"first bytes"
    for parts in ([whole], [bytes([one]) for one in whole]):
        said, answer = asked(*parts)
        assert said.request == socks.Request(host, port) and not said.refused
        assert answer == b"\x05\x00"
    said, _ = asked(whole)
    assert said.rest == b"first bytes"


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [
        (b"\x05\x01\x02", b"\x05\xff"),
        (b"\x05\x00", b"\x05\xff"),
        (b"\x05\x02\x01\x02", b"\x05\xff"),
        (b"\x04\x01\x00\x50\x0a\x00\x00\x01\x00", b"\x00\x5b" + bytes(6)),
        (b"\x04", b"\x00\x5b" + bytes(6)),
        (b"\x06\x01\x00", b""),
    ],
)
def test_who_needs_something_else_is_told_and_left(greeting: bytes, answer: bytes) -> None:
    said, told = asked(greeting)
    assert (said.refused, told, said.request) == (True, answer, None)
    assert said.feed(named(b"web")) == b"" and said.request is None


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (named(b"web", command=2), socks.Reply.COMMAND),
        (named(b"web", command=3), socks.Reply.COMMAND),
        (b"\x05\x01\x00\x02\x00\x00\x00\x00\x00\x00", socks.Reply.ADDRESS),
        (named(b""), socks.Reply.FAILED),
        (named(b"web", 0), socks.Reply.FAILED),
        (named(b"we b"), socks.Reply.FAILED),
        (named(b"web\r\nHost: x"), socks.Reply.FAILED),
        (named("büro".encode()), socks.Reply.FAILED),
        (b"\x05\x01\x07\x03\x01a\x00\x50", socks.Reply.FAILED),
        (b"\x04\x01\x00\x03\x01", socks.Reply.FAILED),
    ],
)
def test_what_is_not_offered_has_its_own_code(request_: bytes, code: socks.Reply) -> None:
    said, told = asked(GREETING, request_)
    assert said.refused and told == b"\x05\x00" + socks.reply(code)
    assert told[3] == code and len(told) == 12


def test_who_sends_without_end_is_left() -> None:
    said, _ = asked(GREETING, b"\x05\x01\x00\x03\xff" + bytes(5))
    for _ in range(400):
        said.feed(b"\x05" * 10)
        if said.refused or said.request:
            break
    assert said.refused


@pytest.mark.parametrize(
    ("why", "code"),
    [
        (errors.Refused.PORT, 5),
        (errors.Refused.UNREACHABLE, 4),
        (errors.Refused.NAME, 4),
        (errors.Refused.RULE, 2),
        (errors.Refused.LIMIT, 1),
    ],
)
def test_every_refusal_has_a_code(why: errors.Refused, code: int) -> None:
    assert socks.reply_to(errors.DialError("x", why=why))[1] == code
    assert socks.reply_to(errors.LinkError("x"))[1] == socks.Reply.NETWORK


@given(st.lists(st.binary(max_size=40), max_size=40), st.booleans())
def test_garbage_is_never_a_request_that_was_not_made(parts: list[bytes], greeted: bool) -> None:
    said = socks.Conversation()
    if greeted:
        said.feed(GREETING)
    for part in parts:
        said.feed(part)
    if said.request is not None:
        assert said.request.port > 0 and said.request.host
        assert len(said.request.host) <= 255 and not set(said.request.host) & set(" \r\n\0/@")
