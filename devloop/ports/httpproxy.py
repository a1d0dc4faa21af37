"""HTTP as proxies speak it: the head of a request taken apart, and answers for people. Without I/O.

Taken are CONNECT, and plain requests with a whole URL as `curl` makes them with `http_proxy`. A request that means the
proxy itself is refused, whatever its Host says: that is what a page in a browser can send, by a link, a form or a name
that was rebound to this machine. What bears a browser's marks gets no plain way either; a browser that is set to
use this proxy takes CONNECT or SOCKS5. RFC 9110 section 9.3.6, RFC 9112 sections 3.2 and 5.
"""

from __future__ import annotations

import http
import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from devloop import errors
from devloop.ports import socks

MAX_HEAD_BYTES: Final = 16 * 1024
MAX_FIELDS: Final = 100
END: Final = b"\r\n\r\n"

_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]{1,8000}) HTTP/1\.([01])")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")

# Fields that are for the proxy, or for one connection only.
_OURS: Final = frozenset({b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive", b"te", b"host"})
_OF_BROWSERS: Final = (b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-user")


class Refusal(Exception):
    """A request that is not carried out.

    Args:
        status: What to answer.
        message: Why.
        hint: What to do instead.
    """

    def __init__(self, status: http.HTTPStatus, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint


class Head(msgspec.Struct, frozen=True):
    """A request that can be carried out.

    Attributes:
        host: Whom it is for.
        port: The port.
        tunnel: It is CONNECT: after the answer the bytes flow.
        onward: What to send there first; empty for a tunnel.
    """

    host: str
    port: int
    tunnel: bool
    onward: bytes = b""


ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


def parse(raw: bytes) -> Head:
    """Take the head of a request apart.

    Args:
        raw: With the empty line that ends it.

    Raises:
        Refusal: It is no request, or none for a proxy, or comes from a page in a browser.
    """
    first, *lines = raw.removesuffix(END).split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Refusal(http.HTTPStatus.BAD_REQUEST, "this is not an HTTP/1.1 request")
    method, target, minor = line.groups()
    fields = _fields(lines)
    if target.startswith(b"/") or target == b"*":
        raise Refusal(
            http.HTTPStatus.FORBIDDEN,
            "this is a proxy, and it has no pages",
            "set it as a proxy: `curl --proxy http://127.0.0.1:PORT http://SERVICE/`",
        )
    if any(name in fields for name in _OF_BROWSERS):
        raise Refusal(
            http.HTTPStatus.FORBIDDEN,
            "plain requests of browsers are not carried",
            "set the browser to use this port as a SOCKS5 proxy that resolves names",
        )
    if method == b"CONNECT":
        host, port = _authority(target, 0)
        return Head(host, port, tunnel=True)
    host, port, path = _url(target)
    return Head(host, port, tunnel=False, onward=_onward(method, path, minor, target, lines, fields))


def _fields(lines: list[bytes]) -> dict[bytes, bytes]:
    if len(lines) > MAX_FIELDS:
        raise Refusal(http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {MAX_FIELDS} header fields")
    fields: dict[bytes, bytes] = {}
    for each in lines:
        found = _FIELD.fullmatch(each)
        if found is None:
            raise Refusal(http.HTTPStatus.BAD_REQUEST, "a header field is malformed")
        name = found[1].lower()
        if name in fields and name in {b"host", b"content-length", b"transfer-encoding"}:
            raise Refusal(http.HTTPStatus.BAD_REQUEST, f"{name.decode()} comes twice")
        fields[name] = fields[name] + b", " + found[2] if name in fields else found[2]
    if b"content-length" in fields and b"transfer-encoding" in fields:
        raise Refusal(http.HTTPStatus.BAD_REQUEST, "the length of the body is told in two ways")
    return fields


def _authority(raw: bytes, default: int) -> tuple[str, int]:
    """Return host and port of `web:80` or `[::1]:80`."""
    host, colon, digits = raw.rpartition(b":")
    if not colon or raw.endswith(b"]"):
        host, digits = raw, b""
    port = int(digits) if digits.isdigit() and len(digits) <= 5 else (default if not digits else 0)
    if not 1 <= port <= 65535:
        raise Refusal(http.HTTPStatus.BAD_REQUEST, "there is no port in the request", "write HOST:PORT")
    if host.startswith(b"[") and host.endswith(b"]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1].decode("ascii"))), port
        except ValueError:
            raise Refusal(http.HTTPStatus.BAD_REQUEST, "the address in brackets is none") from None
    if not socks.is_host(host):
        raise Refusal(http.HTTPStatus.BAD_REQUEST, "the host is none")
    return host.decode("ascii"), port


def _url(target: bytes) -> tuple[str, int, bytes]:
    try:
        parts = urlsplit(target)
    except ValueError:
        raise Refusal(http.HTTPStatus.BAD_REQUEST, "the URL is malformed") from None
    if parts.scheme.lower() != b"http":
        raise Refusal(http.HTTPStatus.BAD_REQUEST, "only http:// is carried plainly", "https:// goes by CONNECT")
    if b"@" in parts.netloc:
        raise Refusal(http.HTTPStatus.BAD_REQUEST, "a URL with a password in it is not carried")
    host, port = _authority(parts.netloc, 80)
    path = parts.path or b"/"
    return host, port, path + (b"?" + parts.query if parts.query else b"")


def _onward(
    method: bytes, path: bytes, minor: bytes, target: bytes, lines: list[bytes], fields: dict[bytes, bytes]
) -> bytes:
    """Return the request as its server expects it; the connection is for this one."""
    named = {word.strip().lower() for word in fields.get(b"connection", b"").split(b",")}
    upgrade = b"upgrade" in named and b"upgrade" in fields
    gone = _OURS | (named - {b"upgrade"} if upgrade else named)
    kept = [line for line in lines if line.partition(b":")[0].lower() not in gone]
    connection = b"Connection: upgrade" if upgrade else b"Connection: close"
    host = b"Host: " + urlsplit(target).netloc
    return b"\r\n".join([method + b" " + path + b" HTTP/1." + minor, host, connection, *kept]) + END


_STATUSES: Final = {
    errors.Refused.PORT: http.HTTPStatus.BAD_GATEWAY,
    errors.Refused.UNREACHABLE: http.HTTPStatus.GATEWAY_TIMEOUT,
    errors.Refused.NAME: http.HTTPStatus.BAD_GATEWAY,
    errors.Refused.RULE: http.HTTPStatus.FORBIDDEN,
    errors.Refused.LIMIT: http.HTTPStatus.SERVICE_UNAVAILABLE,
}


def failed(error: errors.DevloopError) -> bytes:
    """Return the answer to a request whose connection could not be made."""
    status = _STATUSES[error.why] if isinstance(error, errors.DialError) else http.HTTPStatus.GATEWAY_TIMEOUT
    return answer(status, error.message, error.hint)


def answer(status: http.HTTPStatus, message: str, hint: str = "") -> bytes:
    """Return an answer for people, which no browser takes for a page."""
    body = f"devloop: {message}\n{hint}\n".rstrip("\n").encode("utf-8", "replace") + b"\n"
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "X-Content-Type-Options: nosniff",
        "Cross-Origin-Resource-Policy: same-origin",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    return "\r\n".join(head).encode() + END + body
