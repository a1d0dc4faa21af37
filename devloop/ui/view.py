"""What a view of the event stream is: the daemon hands it every event, and closes it at the end.

A view draws and nothing else: it never waits, asks, or changes anything. `text`, `jsonlines` and `live` are views.
"""

from __future__ import annotations

from typing import Protocol

from devloop.sync import events


class View(Protocol):
    """Something that shows events.

    Attributes:
        is_threaded: It may be used from other threads than the loop's, from one at a time.
    """

    is_threaded: bool

    def show(self, event: events.Event) -> None:
        """Show one event. Must not block on anything but the terminal.

        Called from the event loop's thread only, unless it `is_threaded`.
        """

    def close(self) -> None:
        """Show what is left, and give the terminal back. Calling it again does nothing."""
