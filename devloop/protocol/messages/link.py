"""The messages that keep a link and end it: whether the peer is there, what became of bulk, and why one leaves."""

from __future__ import annotations

import enum

from devloop.protocol.messages.base import BaseMessage, Count


class Ping(BaseMessage, frozen=True, array_like=True, gc=False, tag=7):
    """Asks for a `Pong` with the same token."""

    token: Count


class Pong(BaseMessage, frozen=True, array_like=True, gc=False, tag=8):
    """Answers a `Ping`."""

    token: Count


class Credit(BaseMessage, frozen=True, array_like=True, gc=False, tag=9):
    """What became of the bulk messages that the peer sent: how many arrived, and how many were dealt with.

    The two are told apart so that a stream whose data nobody takes fills its own credit, and not the link.

    Attributes:
        received: Bytes of bulk messages that have arrived on this link, all streams, since its beginning.
        grants: Pairs of a stream, by its sender's number, and the bytes of it that were dealt with since the last
            time: the stream may send as many more.
    """

    received: Count
    grants: tuple[tuple[Count, Count], ...] = ()


class Refusal(enum.StrEnum):
    """Why one side ends the conversation."""

    MAJOR = "major"
    PROOF = "proof"
    EPOCH = "epoch"
    OWNED = "owned"
    PROTOCOL = "protocol"
    SILENT = "silent"
    STOPPING = "stopping"
    ROOTS = "roots"

    @classmethod
    def _missing_(cls, value: object) -> Refusal:
        # a peer of another version may have further reasons; its words for people tell them
        return cls.PROTOCOL


class Bye(BaseMessage, frozen=True, array_like=True, gc=False, tag=3):
    """The last message of either side; the sender closes the link after it.

    Attributes:
        reason: For the program.
        message: For people.
        hint: For people.
        owner: Who owns the session, where that is the reason.
    """

    reason: Refusal
    message: str
    hint: str = ""
    owner: str = ""
