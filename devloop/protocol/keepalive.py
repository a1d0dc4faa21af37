"""Whether the peer is still there: pings, pongs and silence.

A peer that was silent for a while is asked, and given up where it stays silent. A side that itself slept asks anew
first. The answers measure the round trip. Nothing in here waits: times come in, and what is to be done goes out.
"""

from __future__ import annotations

from typing import Final

from devloop import errors
from devloop.protocol import messages

PING_AFTER_S: Final = 3.0
"""A peer that was silent for so long is asked. Below the 5 s in which a person notices, and one frame in 3 s is
nothing even on an idle link."""

SILENT_AFTER_S: Final = 8.0
"""A peer that was silent for so long is gone: a half-open link must be found within 10 s. Five seconds for an answer
are enough for a lost packet to be sent again several times."""

_STALLED_S: Final = 1.0
"""A tick that comes so late means that this side slept, or was stopped: frames may be waiting unread."""


class Keepalive:
    """One side's watch over its peer.

    Args:
        now_s: The time, by the clock of all other times.
    """

    def __init__(self, now_s: float) -> None:
        self.rtt_s: float | None = None
        """The last round trip; None until measured."""
        self._heard_s = now_s
        self._asked_s: float | None = None
        self._token = 0
        # one is enough, so a flood of pings costs no memory
        self._pong_due: int | None = None

    def heard(self, now_s: float) -> None:
        """Note that a frame came."""
        self._heard_s = now_s

    def next_tick_s(self, proved: bool) -> float:
        """Return when `tick` is to be called at the latest.

        Args:
            proved: The peer has proved itself. A stranger is not asked: its time is over at the first tick.
        """
        waits = self._asked_s is not None or not proved
        return self._heard_s + (SILENT_AFTER_S if waits else PING_AFTER_S)

    def tick(self, now_s: float, proved: bool) -> messages.Ping | errors.LinkError | None:
        """Note the time.

        Args:
            now_s: The time.
            proved: As in `next_tick_s`.

        Returns:
            What is to be done: send this question, or end the session with this error, or nothing.
        """
        late_s = now_s - self.next_tick_s(proved)
        if late_s < 0:
            return None
        if late_s > _STALLED_S and proved:
            # the silence may be this side's own, so the peer gets a fresh question and the time to answer it
            self._heard_s = now_s - PING_AFTER_S
            self._asked_s = None
        if now_s - self._heard_s >= SILENT_AFTER_S:
            silent = f"nothing was heard from the other side for {now_s - self._heard_s:.0f} s"
            return errors.LinkError(silent, hint="devloop connects again by itself")
        return self.ask(now_s)

    def ask(self, now_s: float) -> messages.Ping | None:
        """Return a question to send now; None where the last one was not answered yet."""
        if self._asked_s is not None:
            return None
        self._token += 1
        self._asked_s = now_s
        return messages.Ping(self._token)

    def ponged(self, pong: messages.Pong, now_s: float) -> float | None:
        """Take an answer.

        Returns:
            The round trip in seconds; None where an older question was answered.

        Raises:
            RemoteProtocolError: Nothing was asked.
        """
        if self._asked_s is None or pong.token > self._token:
            raise errors.RemoteProtocolError("a pong that nobody asked for", where="Pong.token")
        if pong.token != self._token:
            return None
        self.rtt_s = max(0.0, now_s - self._asked_s)
        self._asked_s = None
        return self.rtt_s

    def pinged(self, ping: messages.Ping) -> None:
        """Take a question; only the last one is answered."""
        self._pong_due = ping.token

    @property
    def owes_pong(self) -> bool:
        """An answer is due."""
        return self._pong_due is not None

    def take_pong(self) -> messages.Pong | None:
        """Return the answer that is due, once."""
        if self._pong_due is None:
            return None
        token, self._pong_due = self._pong_due, None
        return messages.Pong(token)
