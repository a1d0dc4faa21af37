"""The listeners of one session half: which ports of the pod the laptop has the agent listen on."""

from __future__ import annotations

from typing import Final

from devloop import errors
from devloop.protocol import messages

MAX_LISTENERS: Final = 64
"""So many may be open at once; a service has a handful."""


class Listeners:
    """The listeners, the same for both halves: what one has sent the other has received."""

    def __init__(self) -> None:
        self._newest = -1
        # whether each was answered; those that were refused or closed are gone
        self._open: dict[int, bool] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def next_number(self) -> int:
        """The number of the next listener."""
        return self._newest + 1

    def check(self, message: messages.Message, wrong: type[errors.ProtocolError], *, crossed: bool) -> bool:
        """Take up a message about listeners.

        Args:
            message: Any message; others than these are none of this module's business.
            wrong: What is raised: the error of this side's message, or of the peer's.
            crossed: It came, and may be about a listener that was closed or refused meanwhile.

        Returns:
            Whether it is to be acted upon.

        Raises:
            ProtocolError: It may not be sent now, or come now.
        """
        match message:
            case messages.Listen():
                if message.number <= self._newest or len(self._open) >= MAX_LISTENERS:
                    raise wrong(f"listener {message.number}, after {self._newest}", where="Listen.number")
                self._newest = message.number
                self._open[message.number] = False
            case messages.Listening():
                return self._answered(message, wrong, crossed=crossed)
            case messages.Unlisten():
                found = self._found(message.number, wrong, crossed=crossed)
                if found is not None:
                    del self._open[message.number]
                return found is not None
            case messages.Accepted():
                # A connection of a listener that was closed meanwhile is acted upon: it must be refused.
                self._found(message.number, wrong, crossed=crossed)
            case _:
                pass
        return True

    def _answered(self, message: messages.Listening, wrong: type[errors.ProtocolError], *, crossed: bool) -> bool:
        found = self._found(message.number, wrong, crossed=crossed)
        if found:
            raise wrong(f"listener {message.number} waits for no answer", where="Listening.number")
        if found is None:
            return False
        if message.error:
            del self._open[message.number]
        else:
            self._open[message.number] = True
        return True

    def _found(self, number: int, wrong: type[errors.ProtocolError], *, crossed: bool) -> bool | None:
        """Return whether a listener was answered; None where it is gone."""
        found = self._open.get(number)
        if found is None and not (crossed and number <= self._newest):
            raise wrong(f"there is no listener {number}", where="number")
        return found
