"""The sockets under every connection to the API server: small writes leave at once, a dead peer is noticed.

TCP keepalive finds a peer that vanished (a laptop that slept, a VPN that went) within ten seconds on an idle
connection, for all that has no heartbeat of its own, such as a watch.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

# Four seconds of silence, then three probes, two seconds apart.
_IDLE_S: Final = 4
_PROBE_EVERY_S: Final = 2
_PROBES: Final = 3
_UNACKNOWLEDGED_MS: Final = 10_000

_OPTIONS: Final = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _IDLE_S),
    # The same on macOS.
    (socket.IPPROTO_TCP, "TCP_KEEPALIVE", _IDLE_S),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", _PROBE_EVERY_S),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", _PROBES),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS),
)

# The most that a TLS record holds (RFC 8446, 5.1).
_RECORD_BYTES: Final = 16 * 1024
# What the kernel takes in ahead of a stream of small records: what one turn of the loop has to decrypt.
_AHEAD_BYTES: Final = 32 * 1024


def make(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket for an address as `getaddrinfo` gives it; what the system does not know is left out."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    for level, name, value in _OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            made.setsockopt(level, option, value)
    return made


def expect_small_records(transport: asyncio.BaseTransport | None) -> None:
    """Prepare a connection for a stream of many small TLS records, such as a log of which every line is one.

    asyncio asks for 256 KiB for each record that it decrypts, whatever its size, which malloc may map and unmap each
    time; and it decrypts all that one read of the socket brings in one go. Measured with 20,000 lines a second: 0.1 to
    0.3 s in which nothing else is done. What a version of Python does not have is left alone: it is a matter of speed.
    """
    protocol = getattr(transport, "_ssl_protocol", None)
    if transport is None or getattr(protocol, "max_size", 0) <= _RECORD_BYTES:
        return
    vars(protocol)["max_size"] = _RECORD_BYTES
    opened = transport.get_extra_info("socket")
    if opened is not None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _AHEAD_BYTES)
