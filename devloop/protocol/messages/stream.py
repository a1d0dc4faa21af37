"""Byte streams between the sides: a connection that one side has accepted and the other one makes.

A stream is opened by `Dial` (the laptop wants something of the pod's world) or by `Accepted` (somebody in the pod wants
something of the laptop's), and answered by `Dialled`. From then on both sides send `Data` under the one number that
the opener chose, each ends its own way by `Eof`, and either ends both at once by `Reset`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec

from devloop.protocol.messages.base import FIRST_STREAM, BaseMessage, BulkMessage, Count

MAX_HOST_CHARS: Final = 255
"""A name of the DNS has at most 253 characters (RFC 1035), an address with its zone fewer."""

MAX_WORDS_CHARS: Final = 2000
"""The most that a text for people may have here."""

StreamNumber = Annotated[int, msgspec.Meta(ge=FIRST_STREAM, le=2**62)]
"""A stream's number: even where the laptop opened it, odd where the agent did; rising, and never used again."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Host = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_HOST_CHARS)]
Words = Annotated[str, msgspec.Meta(max_length=MAX_WORDS_CHARS)]


class Dial(BaseMessage, frozen=True, array_like=True, gc=False, tag=50):
    """The laptop opens a stream: connect there and answer with `Dialled`.

    Attributes:
        stream: Its number.
        host: A name as the pod would write it, or an address.
        port: The port.
    """

    stream: StreamNumber
    host: Host
    port: Port


class Dialled(BaseMessage, frozen=True, array_like=True, gc=False, tag=51):
    """A stream that the other side opened is open, or was refused.

    Attributes:
        stream: The stream.
        why: Empty where it is open; else a value of `errors.Refused`. An unknown one means `unreachable`.
        message: What happened, for people.
        hint: How to fix it, for people.
        address: What was connected to, `host:port`; for people.
    """

    stream: StreamNumber
    why: Words = ""
    message: Words = ""
    hint: Words = ""
    address: Words = ""


class Listen(BaseMessage, frozen=True, array_like=True, gc=False, tag=52):
    """Listen on the pod's loopback; each connection comes as `Accepted`.

    Attributes:
        number: The listener's, rising within a session.
        port: The port.
    """

    number: Count
    port: Port


class Listening(BaseMessage, frozen=True, array_like=True, gc=False, tag=53):
    """A listener takes connections now, or was refused; a refused one is gone.

    Attributes:
        number: The listener's.
        error: Why it was refused, for people; empty where it was not.
        hint: How to fix it, for people.
    """

    number: Count
    error: Words = ""
    hint: Words = ""


class Unlisten(BaseMessage, frozen=True, array_like=True, gc=False, tag=54):
    """Close a listener. Connections that it took stay."""

    number: Count


class Accepted(BaseMessage, frozen=True, array_like=True, gc=False, tag=55):
    """The agent opens a stream for a connection that it took: connect on the laptop and answer with `Dialled`.

    Attributes:
        stream: Its number.
        number: The listener that took it.
        peer: Who connected, `host:port`; for people.
    """

    stream: StreamNumber
    number: Count
    peer: Words


class Data(BulkMessage, frozen=True, array_like=True, gc=False, tag=56):
    """The next bytes of a stream. They are never compressed: most are already, and what waits is waited for.

    Attributes:
        stream: The stream.
        data: The bytes.
    """

    data: bytes


class Eof(BaseMessage, frozen=True, array_like=True, gc=False, tag=57):
    """The sender's way of a stream has ended; the other way goes on."""

    stream: StreamNumber

    follows: ClassVar[str] = "stream"


class Reset(BaseMessage, frozen=True, array_like=True, gc=False, tag=58):
    """Both ways of a stream have ended, at once. It overtakes the stream's data, which is dropped on either side.

    Attributes:
        stream: The stream.
        why: For the log.
    """

    stream: StreamNumber
    why: Words = ""
