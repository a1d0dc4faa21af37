"""The sockets under every connection to the API server: small writes leave at once, a dead peer is noticed.

TCP keepalive finds a peer that vanished (a laptop that slept, a VPN that went) within ten seconds on an idle
connection, for all that has no heartbeat of its own, such as a watch.
"""

from __future__ import annotations

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
