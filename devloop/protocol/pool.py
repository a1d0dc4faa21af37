"""The credit of byte streams: what each has to itself, and what all of them share.

Every open stream may have `own_bytes` under way whatever the others do, so a stream whose reader stands still takes
nothing from another, and any number of them never stop one that is read. Beyond that there is a pool for all, of
which a stream may hold at most as much as it leaves free: one alone has half of it, and each further one half of what
is left. So the receiver keeps at most `own_bytes` for each open stream, and `shared_bytes` (`messages.StreamLimits`).

The same arithmetic serves sender and receiver. What the sender believes to be under way is never less than what the
receiver keeps, so what the one allows the other accepts.
"""

from __future__ import annotations

from devloop.protocol import messages


class Pool:
    """How much of the shared pool is taken.

    Args:
        limits: The receiver's.
    """

    __slots__ = ("_own", "_shared", "held_bytes", "shared_bytes")

    def __init__(self, limits: messages.StreamLimits) -> None:
        self._own = limits.own_bytes
        self._shared = limits.shared_bytes
        self.held_bytes = 0
        """What all streams hold, their own and shared."""
        self.shared_bytes = 0
        """What all streams hold of what is shared."""

    def room(self, held: int) -> int:
        """Return how many bytes more a stream may send.

        Args:
            held: What it has under way.
        """
        shared = self._shared - self.shared_bytes - self._beyond(held)
        return max(0, self._own - held) + max(0, shared)

    def take(self, held: int, size: int) -> int:
        """Count more bytes of a stream, and return what it holds then."""
        return self._set(held, held + size)

    def give_back(self, held: int, size: int) -> int:
        """Count fewer bytes of a stream, and return what it holds then."""
        return self._set(held, held - size)

    def fits(self, held: int, size: int) -> bool:
        """Say whether more bytes of a stream are within the bounds, whatever the sender should leave to others.

        Args:
            held: What the stream has.
            size: The bytes.
        """
        return self.shared_bytes + self._beyond(held + size) - self._beyond(held) <= self._shared

    def _set(self, before: int, after: int) -> int:
        self.held_bytes += after - before
        self.shared_bytes += self._beyond(after) - self._beyond(before)
        return after

    def _beyond(self, held: int) -> int:
        return max(0, held - self._own)
