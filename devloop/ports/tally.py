"""What a forward has carried so far, and why its last connection failed: listeners count, the table shows."""

from __future__ import annotations

import dataclasses

from devloop.wire import pump


@dataclasses.dataclass
class Tally:
    """Counts of one forward.

    Attributes:
        open: Connections that are open now, held ones included.
        held: Of these, how many wait for a carrier.
        total: Connections so far.
        traffic: What all of them have carried.
        by: What carried the last one: `agent` or `port-forward`.
        target: The pod that it went to or through.
        error: Why the last one that failed did; empty after one that did not.
        code: That error's code.
    """

    open: int = 0
    held: int = 0
    total: int = 0
    traffic: pump.Traffic = dataclasses.field(default_factory=pump.Traffic)
    by: str = ""
    target: str = ""
    error: str = ""
    code: str = ""

    def failed(self, message: str, code: str = "") -> None:
        """Note why a connection failed."""
        self.error, self.code = message, code
