"""How long something was not renewed, by this process's own clock.

Pure. What is written as the time of a renewal comes from a laptop, whose clock may be wrong: only whether it changes
counts. What is remembered may be lost: a new process gives everything its full time again.
"""

from __future__ import annotations

from collections.abc import Mapping


class Heard:
    """Remembers when each thing's renewal was seen to change."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def silences(self, renewed: Mapping[str, str], now_s: float) -> dict[str, float]:
        """Return for how many seconds each was silent; what is not named any more is forgotten.

        Args:
            renewed: By uid, what is written as the last renewal; empty for none.
            now_s: A monotonic time.
        """
        before, self._seen = self._seen, {}
        for uid, told in renewed.items():
            last, since_s = before.get(uid, (told, now_s))
            self._seen[uid] = (told, since_s if last == told else now_s)
        return {uid: now_s - since_s for uid, (_, since_s) in self._seen.items()}
