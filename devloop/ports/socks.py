"""SOCKS5, the part that a proxy for one developer needs: CONNECT, without authentication, names resolved far away.

Without I/O: `Conversation` is fed what the client says and returns what to answer. RFC 1928; the reply codes are those
of its section 6. SOCKS4 is refused in its own language, because some clients speak it unless told otherwise.
"""

from __future__ import annotations

import enum
import ipaddress
from typing import Final

import msgspec

from devloop import errors

VERSION: Final = 5
OLD_VERSION: Final = 4

_NO_AUTHENTICATION: Final = 0
_NONE_FITS: Final = 0xFF
_CONNECT: Final = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4

# Request rejected or failed; the address that follows means nothing (the SOCKS4 memo by Y. Lee).
_OLD_REFUSAL: Final = bytes([0, 0x5B, 0, 0, 0, 0, 0, 0])

# A greeting has up to 257 bytes, a request up to 262; who sends more before the answer does not wait for it.
MAX_BYTES: Final = 1024


class Reply(enum.IntEnum):
    """How a request ended."""

    OK = 0
    FAILED = 1
    RULE = 2
    NETWORK = 3
    HOST = 4
    REFUSED = 5
    COMMAND = 7
    ADDRESS = 8


_REPLIES: Final = {
    errors.Refused.PORT: Reply.REFUSED,
    errors.Refused.UNREACHABLE: Reply.HOST,
    errors.Refused.NAME: Reply.HOST,
    errors.Refused.RULE: Reply.RULE,
    errors.Refused.LIMIT: Reply.FAILED,
}


class Request(msgspec.Struct, frozen=True):
    """Whom the client wants to be connected with.

    Attributes:
        host: A name, or an address.
        port: The port.
    """

    host: str
    port: int


def reply(code: Reply) -> bytes:
    """Return the answer to a request; the address in it is left open, since no client has a use for it."""
    return bytes([VERSION, code, 0, _IPV4, 0, 0, 0, 0, 0, 0])


def reply_to(error: errors.DevloopError) -> bytes:
    """Return the answer to a request that failed."""
    return reply(_REPLIES[error.why] if isinstance(error, errors.DialError) else Reply.NETWORK)


class Conversation:
    """What is said before the bytes flow.

    Attributes:
        request: Whom the client wants, once it has said so.
        refused: The conversation is over; what was returned last is all that is to be sent.
        rest: After the request: what the client has sent already for whom it wants.
    """

    def __init__(self) -> None:
        self.request: Request | None = None
        self.refused = False
        self._buffer = bytearray()
        self._greeted = False

    @property
    def rest(self) -> bytes:
        """What came after the request."""
        return bytes(self._buffer) if self.request is not None else b""

    def feed(self, data: bytes) -> bytes:
        """Take what the client said; return what to answer now, which may be nothing."""
        self._buffer += data
        answer = b""
        if not self._greeted and not self.refused:
            answer += self._greeting()
        if self._greeted and self.request is None and not self.refused:
            answer += self._asked()
        if self.request is None and not self.refused and len(self._buffer) > MAX_BYTES:
            self.refused = True
        return answer

    def _greeting(self) -> bytes:
        said = self._buffer
        if said and said[0] != VERSION:
            self.refused = True
            return _OLD_REFUSAL if said[0] == OLD_VERSION else b""
        if len(said) < 2 or len(said) < 2 + said[1]:
            return b""
        methods = said[2 : 2 + said[1]]
        del said[: 2 + len(methods)]
        if _NO_AUTHENTICATION not in methods:
            self.refused = True
            return bytes([VERSION, _NONE_FITS])
        self._greeted = True
        return bytes([VERSION, _NO_AUTHENTICATION])

    def _asked(self) -> bytes:
        said = self._buffer
        if said and said[0] != VERSION:
            return self._refuse(Reply.FAILED)
        if len(said) < 5:
            return b""
        size = {_IPV4: 4, _IPV6: 16, _NAME: 1 + said[4]}.get(said[3])
        if size is None:
            return self._refuse(Reply.ADDRESS)
        if len(said) < 4 + size + 2:
            return b""
        if said[1] != _CONNECT:
            return self._refuse(Reply.COMMAND)
        host = _host(said[3], bytes(said[4 : 4 + size]))
        port = int.from_bytes(said[4 + size : 6 + size], "big")
        if not host or not port or said[2]:
            return self._refuse(Reply.FAILED)
        del said[: 6 + size]
        self.request = Request(host, port)
        return b""

    def _refuse(self, code: Reply) -> bytes:
        self.refused = True
        return reply(code)


def _host(kind: int, raw: bytes) -> str:
    """Return the host of a request; empty where it can be none."""
    if kind != _NAME:
        return str(ipaddress.ip_address(raw))
    return raw[1:].decode("ascii") if is_host(raw[1:]) else ""


_ALLOWED: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def is_host(raw: bytes) -> bool:
    """Say whether this may be a host's name, or an IPv4 address as text; names of other scripts come as `xn--`."""
    return 0 < len(raw) <= 253 and _ALLOWED.issuperset(raw) and not raw.startswith((b"-", b"."))
