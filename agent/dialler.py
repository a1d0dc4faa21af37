"""Making the connections that the laptop asks for: resolve once, decide, connect to exactly what was decided on.

What may be dialled is decided by `agent.dialrules` on the resolved addresses, and nothing is resolved a second time:
a name that changes between the decision and the connection changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import msgspec

from agent import dialrules
from devloop import errors
from devloop.core import allowlist
from devloop.wire import pump, streams

RESOLVE_TIMEOUT_S: Final = 10.0
"""The resolver's own patience is 5 s for each server, twice (resolv.conf(5))."""

VARIABLE_AFTER_S: Final = 1.0
"""So long the DNS may take for a name that the agent's environment knows as well."""

SILENT_DNS_S: Final = 60.0
"""So long a DNS that did not answer is not asked for what the environment knows."""

CONNECT_TIMEOUT_S: Final = 10.0
"""For all addresses together."""

NEXT_ADDRESS_S: Final = 3.0
"""How long one address may take while there are others; a SYN is sent again after 1 s."""

RESOLVERS: Final = 8
"""Names that are looked up at the same time."""

_REFUSED: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET})
_UNKNOWN: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class Answer(msgspec.Struct, frozen=True):
    """What a resolver says of a full name.

    Attributes:
        canonical: What it is an alias of, or itself.
        addresses: Its addresses, in order.
    """

    canonical: str
    addresses: tuple[str, ...]


class Resolver(Protocol):
    """A resolver; both block. The system's is `System`."""

    def addresses(self, name: str) -> Answer | None:
        """Return what a full name has, or None where it is unknown. Raises OSError where that cannot be told."""

    def name(self, address: str) -> str:
        """Return the name of an address, or nothing."""


class System:
    """The pod's own resolver."""

    def addresses(self, name: str) -> Answer | None:
        """See `Resolver`."""
        try:
            # The dot at the end: exactly this name, in no search domain.
            rows = socket.getaddrinfo(f"{name}.", None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
        except socket.gaierror as error:
            if error.errno in _UNKNOWN:
                return None
            raise
        canonical = next((row[3] for row in rows if row[3]), name)
        return Answer(canonical.lower().rstrip("."), tuple(dict.fromkeys(str(row[4][0]) for row in rows)))

    def name(self, address: str) -> str:
        """See `Resolver`."""
        try:
            return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0].lower().rstrip(".")
        except OSError:
            return ""


class _SilentError(errors.DialError):
    """The DNS does not answer, or cannot."""


class Dialler:
    """Connects to what may be dialled.

    Args:
        where: Where the pod is.
        allow: The allow list.
        resolver: Looks names up.
    """

    def __init__(
        self, where: dialrules.Place, allow: Sequence[allowlist.Allowed], resolver: Resolver | None = None
    ) -> None:
        self._where = where
        self._allow = tuple(allow)
        self._resolver: Resolver = resolver or System()
        self._threads = ThreadPoolExecutor(RESOLVERS, "resolve")
        self._silent_until_s = 0.0

    async def serve(self, call: streams.Call) -> None:
        """Make the connection that a call asks for, and carry it to its end; see `streams.Handler`.

        Raises:
            DialError: It was refused.
        """
        connected, address = await self.connect(call.host, call.port)
        try:
            channel = call.accept(address)
        except BaseException:
            connected.close()
            raise
        await pump.join(channel, connected)

    async def connect(self, host: str, port: int) -> tuple[socket.socket, str]:
        """Return a connected, non-blocking socket, and what it is connected to.

        Raises:
            DialError: It may not be, or is not to be had.
        """
        found = await self._resolved(host, port)
        return await _connect(dialrules.decide(found, port, self._where, self._allow), host, port)

    def close(self) -> None:
        """Look nothing up any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _resolved(self, host: str, port: int) -> dialrules.Resolved:
        address = dialrules.literal(host)
        if address is None and dialrules.is_localhost(host):
            both = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
            return dialrules.Resolved(host, "", "", both)
        if address is not None and dialrules.is_settled(address, port, self._where, self._allow):
            return dialrules.Resolved(host, "", "", (address,))
        if address is None:
            return await self._named(host)
        return await self._looked_up(host, lambda: self._by_address(host, address), RESOLVE_TIMEOUT_S)

    async def _named(self, host: str) -> dialrules.Resolved:
        """Look a name up: in the DNS, and where that does not know it or is not there, in the agent's environment."""
        known = dialrules.service_variable(host, self._where)
        loop = asyncio.get_running_loop()
        if not known:
            return await self._looked_up(host, lambda: self._by_name(host), RESOLVE_TIMEOUT_S)
        if loop.time() >= self._silent_until_s:
            try:
                return await self._looked_up(host, lambda: self._by_name(host), VARIABLE_AFTER_S)
            except _SilentError:
                self._silent_until_s = loop.time() + SILENT_DNS_S
            except errors.DialError:
                # The name is well formed: the DNS does not know it, and the kubelet did when the pod started.
                pass
        return dialrules.Resolved(host, "", "", (_address(known),), from_environment=True)

    async def _looked_up(
        self, host: str, look_up: Callable[[], dialrules.Resolved], timeout_s: float
    ) -> dialrules.Resolved:
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except TimeoutError:
            raise _SilentError(
                f"the pod's DNS does not answer for {host} within {timeout_s:.0f} s", why=errors.Refused.NAME
            ) from None
        except OSError as error:
            raise _SilentError(
                f"the pod's DNS cannot tell what {host} is: {error.strerror or error}", why=errors.Refused.NAME
            ) from error

    def _by_name(self, host: str) -> dialrules.Resolved:
        for name in dialrules.candidates(host, self._where):
            answer = self._resolver.addresses(name)
            if answer is not None and answer.addresses:
                return dialrules.Resolved(host, name, answer.canonical, tuple(map(_address, answer.addresses)))
        raise errors.DialError(f"the pod does not know the name {host}", why=errors.Refused.NAME)

    def _by_address(self, host: str, address: dialrules.Address) -> dialrules.Resolved:
        """Find out whose an address is; the name is believed only where it has that address."""
        if str(address) in self._where.services.values():
            return dialrules.Resolved(host, "", "", (address,), from_environment=True)
        if self._where.namespace:
            name = self._resolver.name(str(address))
            # Only a name of the namespace is looked up: whoever owns an address may name it as they like.
            answer = self._resolver.addresses(name) if name.endswith(self._where.zone) else None
            if answer is not None and address in map(_address, answer.addresses):
                return dialrules.Resolved(host, name, answer.canonical, (address,))
        return dialrules.Resolved(host, "", "", (address,))


def from_pod(own_port: int, allow: Sequence[allowlist.Allowed]) -> Dialler:
    """Return a dialler that knows what this process can tell of its pod.

    Args:
        own_port: Where the agent listens; 0 for nowhere.
        allow: The allow list.
    """
    resolv_conf = ""
    with contextlib.suppress(OSError), open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
        resolv_conf = file.read()
    return Dialler(dialrules.place(resolv_conf, os.environ, own_port), allow)


def _address(text: str) -> dialrules.Address:
    return ipaddress.ip_address(text)


async def _connect(addresses: Sequence[dialrules.Address], host: str, port: int) -> tuple[socket.socket, str]:
    """Connect to the first of some addresses that answers."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + CONNECT_TIMEOUT_S
    worst = errors.DialError(f"nobody answers at {host}:{port}")
    for address in addresses:
        is_last = address == addresses[-1]
        left_s = deadline_s - loop.time()
        try:
            async with asyncio.timeout(left_s if is_last else min(left_s, NEXT_ADDRESS_S)):
                return await _connect_one(address, port), f"[{address}]:{port}" if ":" in str(
                    address
                ) else f"{address}:{port}"
        except TimeoutError:
            worst = errors.DialError(f"{host}:{port} ({address}) does not answer")
        except OSError as error:
            worst = _failed(error, host, port, address)
    raise worst


async def _connect_one(address: dialrules.Address, port: int) -> socket.socket:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (str(address), port))
    except BaseException:
        made.close()
        raise
    return made


def _failed(error: OSError, host: str, port: int, address: dialrules.Address) -> errors.DialError:
    if error.errno in _REFUSED:
        where = f"{host}:{port}" if host == str(address) else f"{host}:{port} ({address})"
        return errors.DialError(f"nothing listens at {where}", why=errors.Refused.PORT)
    return errors.DialError(f"{host}:{port} ({address}) cannot be reached: {error.strerror or error}")
