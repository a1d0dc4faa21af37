"""The view for programs: each event as one line of JSON, as `devloop.sync.events` defines it, flushed at once."""

from __future__ import annotations

from typing import BinaryIO

from devloop.sync import events


class JsonView:
    """Writes events.

    Args:
        out: Takes the lines, as bytes.
    """

    is_threaded = True

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def show(self, event: events.Event) -> None:
        """Write one event."""
        self._out.write(events.to_json(event) + b"\n")
        self._out.flush()

    def close(self) -> None:
        """Leave the stream to its owner."""
        self._out.flush()
