"""The protocol's version and the features beyond its base."""

from __future__ import annotations

from typing import Final

MAJOR: Final = 1
"""Raised when an older peer could misunderstand; peers of different majors refuse each other."""

MINOR: Final = 1
"""Raised when something is added that an older peer can ignore."""

STREAMS: Final = "streams"
"""Byte streams: `Dial` and everything of `messages.stream`."""

FEATURES: Final = frozenset({"delta", "copy", STREAMS})
"""What this version can do beyond the base; a session uses what both sides name."""

_OF_STREAMS: Final = ("Dial", "Dialled", "Listen", "Listening", "Unlisten", "Accepted", "Data", "Eof", "Reset")

NEEDED: Final = {"Delta": "delta", "Copy": "copy", **dict.fromkeys(_OF_STREAMS, STREAMS)}
"""Messages that are only sent where both sides name the feature, by the messages' names."""

RUNS: Final = "runs"
"""What an agent adds to its features that can run hooks and reloads where the app is; else the laptop does."""
