"""The laptop's questions and the agent's answers: the stream of an answer goes from `Request` to `Done`."""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

from devloop.core.entry import Entry
from devloop.protocol.messages.base import BaseMessage, BulkMessage, Codec, Count


class Ask(enum.StrEnum):
    """What a `Request` asks for."""

    MANIFEST = "manifest"
    """Every managed entry of one root, then every other one that the rules do not protect."""
    SWEEP = "sweep"
    """A full sweep of every root now; its `Findings` come before the answer."""
    RESTART = "restart"
    """Restart the app."""
    START = "start"
    """Start the app unless it runs: the target is complete."""
    PULL = "pull"
    """The content of one file, as a `Part` stream."""


class Request(BaseMessage, frozen=True, array_like=True, gc=False, tag=40):
    """The laptop asks; the agent answers with `Part`s, where the question has content, and `Done`.

    Attributes:
        request: Its number, chosen by the laptop, also the number of the answer's stream.
        ask: What is asked for.
        root: The root's number, where it matters.
        path: The path, where it matters.
        digest: The content that is expected, where it matters.
    """

    request: Count
    ask: Ask
    root: Count = 0
    path: bytes = b""
    digest: bytes = b""


class ManifestRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One path of a manifest.

    Attributes:
        path: The path.
        entry: What is really there; None where nothing is, although it was shipped.
        managed: devloop shipped or adopted it.
        was: What was shipped, where somebody else has changed it since.
    """

    path: bytes
    entry: Entry | None
    managed: bool
    was: Entry | None = None


class Part(BulkMessage, frozen=True, array_like=True, gc=False, tag=41):
    """A piece of an answer.

    Attributes:
        stream: The request.
        raw_size: Bytes after decompression.
        codec: How `data` is encoded.
        data: Content of a file, or a msgpack list of `ManifestRow`.
    """

    raw_size: Count
    codec: Codec
    data: bytes


class Done(BaseMessage, frozen=True, array_like=True, gc=False, tag=42):
    """A request was answered, or refused.

    Attributes:
        request: The request.
        error: Why it was refused, for people; empty where it was not.
    """

    request: Count
    error: str = ""

    follows: ClassVar[str] = "request"
