"""One byte stream between laptop side and pod side, whatever carries it: what a port, a proxy and a tunnel share.

A `Channel` is what a TCP connection is to its owner: bytes in order, an end for each way, a reset for both.
A `Carrier` opens channels towards the pod. The agent's link is one carrier, a port-forward for each connection
another; neither is known here.
"""

from __future__ import annotations

from typing import Protocol


class Channel(Protocol):
    """An open byte stream. Reading and writing may go on at the same time, each by one task."""

    async def read(self) -> bytes:
        """Return the next bytes, up to a few hundred KiB; empty once the other side has ended its way.

        What was returned by the last call counts as dealt with when this is called: only then is credit given back.

        Raises:
            ConnectionResetError: The stream was reset, or what carries it is gone.
        """

    async def write(self, data: bytes | memoryview) -> None:
        """Send bytes; wait while the other side takes no more.

        Raises:
            ConnectionResetError: The stream was reset, or what carries it is gone.
        """

    async def write_eof(self) -> None:
        """End this side's way; the other one stays open. Does nothing when it has ended already.

        Raises:
            ConnectionResetError: See `write`.
        """

    def reset(self, why: str = "") -> None:
        """End both ways at once; the other side is told. Does nothing on a stream that has ended.

        Args:
            why: For the log of the other side.
        """


class Carrier(Protocol):
    """Opens channels to what the pod can reach."""

    async def dial(self, host: str, port: int, *, timeout_s: float) -> Channel:
        """Open a channel.

        Args:
            host: `127.0.0.1` or `::1` for the pod's own loopback, a name as the pod would write it, or an address.
            port: The port.
            timeout_s: For all of it.

        Raises:
            DialError: It was refused, by the other end or by a rule; the carrier itself goes on.
            LinkError: The carrier is gone.
            ClusterError: Likewise.
        """
