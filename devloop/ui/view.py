"""What a view of the event stream is: the daemon hands it every event, and closes it at the end.

A view draws and nothing else: it never waits, asks, or changes anything. `text`, `jsonlines` and `live` are views.
"""

from __future__ import annotations

from typing import Protocol

from devloop.sync import events


class View(Protocol):
    """Something that shows events."""

    def show(self, event: events.Event) -> None:
        """Show one event. Called from the event loop's thread only; must not block on anything but the terminal."""

    def close(self) -> None:
        """Show what is left, and give the terminal back. Calling it again does nothing."""
