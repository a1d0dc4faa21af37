"""Listening on the laptop: which addresses a forward takes, and what to say where it cannot.

A forward without an address is on both loopbacks, so that `localhost` works whichever way it resolves; where the
machine has no IPv6 the other one is enough. An address that others can reach is taken only where it was written.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

import msgspec

from devloop import errors

TAKEN_CODE: Final = "DL0370"
PRIVILEGED_CODE: Final = "DL0371"
ADDRESS_CODE: Final = "DL0372"

# Clients that come at once, before the loop has looked.
_BACKLOG: Final = 1024
# Ports below this one are root's (Linux: net.ipv4.ip_unprivileged_port_start).
_FIRST_FREE: Final = 1024

_LOOPBACKS: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_NO_IPV6: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EINVAL})


class Bound(msgspec.Struct, frozen=True):
    """Sockets that listen on one port.

    Attributes:
        sockets: One for each address, not blocking.
        host: How people write where it is.
        port: The port.
    """

    sockets: tuple[socket.socket, ...]
    host: str
    port: int

    def close(self) -> None:
        """Stop listening."""
        for each in self.sockets:
            each.close()


def is_loopback(bind: str) -> bool:
    """Say whether nobody but this machine reaches an address; empty stands for the loopbacks."""
    if bind in {"", "localhost"}:
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(bind).is_loopback
    return False


def listen(bind: str, ports: Iterable[int]) -> Bound:
    """Listen on the first of some ports that is free on every address.

    Args:
        bind: An address of the laptop; empty or `localhost` for its loopbacks.
        ports: At least one.

    Raises:
        LocalError: None is free, or the address is not this machine's.
    """
    taken: list[int] = []
    for port in ports:
        try:
            return _listen(bind, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _explained(error, bind, port) from None
            taken.append(port)
    first, last = taken[0], taken[-1]
    what = f"the local port {first} is" if first == last else f"the local ports {first}-{last} are all"
    raise errors.LocalError(
        f"{what} taken by another program",
        hint=f"end it (`ss -ltnp 'sport = :{first}'` names it), or choose another local port: {_other(first)}:PORT",
        code=TAKEN_CODE,
    )


def _listen(bind: str, port: int) -> Bound:
    wanted = _LOOPBACKS if bind in {"", "localhost"} else (_address(bind),)
    sockets: list[socket.socket] = []
    try:
        for family, address in wanted:
            try:
                sockets.append(_socket(family, address, port))
            except OSError as error:
                if len(wanted) == 1 or family is not socket.AF_INET6 or error.errno not in _NO_IPV6:
                    raise
    except OSError:
        for each in sockets:
            each.close()
        raise
    return Bound(tuple(sockets), "localhost" if len(wanted) > 1 else bind, port)


def _address(bind: str) -> tuple[socket.AddressFamily, str]:
    try:
        version = ipaddress.ip_address(bind).version
    except ValueError:
        raise OSError(errno.EADDRNOTAVAIL, "not an address") from None
    return (socket.AF_INET6 if version == 6 else socket.AF_INET), bind


def _socket(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        # After an end with open connections the port is free at once.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _explained(error: OSError, bind: str, port: int) -> errors.LocalError:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return errors.LocalError(
            f"the local port {port} may not be used: ports below {_FIRST_FREE} belong to root",
            hint=f"write {port + 8000}:{port} and use {port + 8000} here",
            code=PRIVILEGED_CODE,
        )
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return errors.LocalError(
            f"{bind or 'the loopback'} is not an address of this machine",
            hint="leave the address out for localhost, or write one that `ip addr` shows",
            code=ADDRESS_CODE,
        )
    return errors.LocalError(f"the local port {port} cannot be used: {error.strerror}", code=ADDRESS_CODE)


def _other(port: int) -> int:
    return port + 10000 if port + 10000 <= 65535 else port - 10000
