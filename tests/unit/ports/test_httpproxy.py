"""Heads of requests: what a proxy takes, what a page in a browser can send and does not get through, and garbage."""

from __future__ import annotations

import contextlib
import http

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.ports import httpproxy


def head(*lines: str) -> bytes:
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def refused(raw: bytes) -> httpproxy.Refusal:
    with pytest.raises(httpproxy.Refusal) as caught:
        httpproxy.parse(raw)
    return caught.value


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("web:80", "web", 80),
        ("db.shop.svc.cluster.local:5432", "db.shop.svc.cluster.local", 5432),
        ("10.0.0.7:443", "10.0.0.7", 443),
        ("[::1]:8000", "::1", 8000),
    ],
)
def test_connect_names_whom_it_is_for(target: str, host: str, port: int) -> None:
    found = httpproxy.parse(head(f"CONNECT {target} HTTP/1.1", f"Host: {target}"))
    assert found == httpproxy.Head(host, port, tunnel=True)


def test_a_plain_request_goes_on_as_its_server_expects_it() -> None:
    found = httpproxy.parse(
        head(
            "GET http://web:8080/a/b?c=d HTTP/1.1",
            "Host: other",
            "User-Agent: curl",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic c2VjcmV0",
            "Connection: keep-alive, X-Hop",
            "X-Hop: 1",
            "Accept: */*",
        )
    )
    assert (found.host, found.port, found.tunnel) == ("web", 8080, False)
    assert found.onward == head(
        "GET /a/b?c=d HTTP/1.1", "Host: web:8080", "Connection: close", "User-Agent: curl", "Accept: */*"
    )


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("http://web", "GET / HTTP/1.1"),
        ("http://web?a=1", "GET /?a=1 HTTP/1.1"),
        ("HTTP://WEB:80/x", "GET /x HTTP/1.1"),
    ],
)
def test_a_url_without_a_path_means_the_root(target: str, line: str) -> None:
    found = httpproxy.parse(head(f"GET {target} HTTP/1.1"))
    assert found.onward.startswith(line.encode() + b"\r\n") and found.port == 80


def test_an_upgrade_stays_one() -> None:
    found = httpproxy.parse(head("GET http://web/ws HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"))
    assert b"Connection: upgrade\r\n" in found.onward and b"Upgrade: websocket" in found.onward


@pytest.mark.parametrize(
    "lines",
    [
        # What a link, an image, a form or a rebound name makes a browser send to this port.
        ("GET / HTTP/1.1", "Host: 127.0.0.1:1080"),
        ("GET /x HTTP/1.1", "Host: rebound.example:1080"),
        ("GET / HTTP/1.1", "Host: web.shop.svc"),
        ("POST /steal HTTP/1.1", "Host: localhost:1080", "Origin: https://evil.example", "Content-Length: 0"),
        ("OPTIONS * HTTP/1.1", "Host: localhost:1080"),
        ("OPTIONS / HTTP/1.1", "Host: localhost:1080", "Access-Control-Request-Private-Network: true"),
        # What a page makes a browser send that uses this port as an HTTP proxy.
        ("GET http://web/ HTTP/1.1", "Host: web", "Sec-Fetch-Site: cross-site"),
        ("POST http://web/ HTTP/1.1", "Host: web", "Origin: https://evil.example"),
        ("CONNECT web:80 HTTP/1.1", "Host: web:80", "origin: https://evil.example"),
        ("CONNECT web:80 HTTP/1.1", "SEC-FETCH-MODE: cors"),
    ],
)
def test_what_a_page_in_a_browser_can_send_is_refused(lines: tuple[str, ...]) -> None:
    assert refused(head(*lines)).status is http.HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    "raw",
    [
        head("GET"),
        head("GET http://web/"),
        head("GET http://web/ HTTP/2.0"),
        head("GET http://web/ HTTP/1.1 extra"),
        head("GET  http://web/ HTTP/1.1"),
        head("GET http://web/\x01 HTTP/1.1"),
        head("GET http://web/ HTTP/1.1", "no colon"),
        head("GET http://web/ HTTP/1.1", "Space : x"),
        head("GET http://web/ HTTP/1.1", "A: 1", " folded"),
        head("GET http://web/ HTTP/1.1", "A: 1\nB: 2"),
        head("GET http://web/ HTTP/1.1", "A: 1\0"),
        head("GET http://web/ HTTP/1.1", "Host: a", "Host: b"),
        head("POST http://web/ HTTP/1.1", "Content-Length: 1", "Content-Length: 2"),
        head("POST http://web/ HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"),
        head("GET https://web/ HTTP/1.1"),
        head("GET ftp://web/ HTTP/1.1"),
        head("GET http://user:word@web/ HTTP/1.1"),
        head("GET http:///x HTTP/1.1"),
        head("GET http://web:0/ HTTP/1.1"),
        head("GET http://web:99999/ HTTP/1.1"),
        head("GET http://web:8o/ HTTP/1.1"),
        head("GET http://[::1/ HTTP/1.1"),
        head("CONNECT web HTTP/1.1"),
        head("CONNECT http://web:80 HTTP/1.1"),
        head("CONNECT :80 HTTP/1.1"),
        head("CONNECT [zz]:80 HTTP/1.1"),
        head("CONNECT -x:80 HTTP/1.1"),
    ],
)
def test_what_is_malformed_is_told_so(raw: bytes) -> None:
    assert refused(raw).status is http.HTTPStatus.BAD_REQUEST


def test_a_flood_of_fields_is_refused() -> None:
    raw = head("GET http://web/ HTTP/1.1", *(f"X-{number}: 1" for number in range(httpproxy.MAX_FIELDS + 1)))
    assert refused(raw).status is http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


@pytest.mark.parametrize(
    ("why", "status"),
    [
        (errors.Refused.RULE, 403),
        (errors.Refused.PORT, 502),
        (errors.Refused.NAME, 502),
        (errors.Refused.UNREACHABLE, 504),
        (errors.Refused.LIMIT, 503),
    ],
)
def test_every_refusal_has_a_status_and_words(why: errors.Refused, status: int) -> None:
    error = errors.DialError("10.0.0.1 is of no service here", hint="Ops widen it with agent.dial", why=why)
    answer = httpproxy.failed(error)
    raw, _, body = answer.partition(httpproxy.END)
    assert raw.startswith(b"HTTP/1.1 %d " % status)
    assert body == b"devloop: 10.0.0.1 is of no service here\nOps widen it with agent.dial\n"
    assert b"Content-Length: %d\r\n" % len(body) in raw and b"nosniff" in raw
    assert httpproxy.failed(errors.LinkError("gone")).startswith(b"HTTP/1.1 504 ")


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else(garbage: bytes) -> None:
    with contextlib.suppress(httpproxy.Refusal):
        httpproxy.parse(garbage + httpproxy.END)


TOKENS = st.sampled_from(
    ["GET", "CONNECT", "http://web/", "web:80", "/", "*", "HTTP/1.1", "HTTP/1.0", "Host: x", "Origin: y", "\r\n", " "]
)


@given(st.lists(TOKENS, max_size=14), st.lists(st.text(max_size=12), max_size=4))
def test_what_goes_on_is_one_request(tokens: list[str], words: list[str]) -> None:
    raw = ("".join(tokens) + "\r\nX: ".join(words)).encode("utf-8", "replace") + httpproxy.END
    with contextlib.suppress(httpproxy.Refusal):
        found = httpproxy.parse(raw.partition(httpproxy.END)[0] + httpproxy.END)
        assert found.onward.count(httpproxy.END) == (0 if found.tunnel else 1)
        assert b"\n" not in found.onward.replace(b"\r\n", b"") and b"\r" not in found.onward.replace(b"\r\n", b"")
