"""What a session tells its shell, besides the messages and commands that came.

A shell says `session.Opened`: it knows these by the module of the session that they come from.
"""

from __future__ import annotations

import msgspec

from devloop import errors
from devloop.protocol import commands, messages


class Authenticated(msgspec.Struct, frozen=True):
    """The peer has proved that it knows the key. The agent's shell answers with `AgentHello`.

    Attributes:
        peer_version: devloop's version there.
    """

    peer_version: str


class Opened(msgspec.Struct, frozen=True):
    """The session is open.

    Attributes:
        features: What both sides can do.
        minor: The lower of both minor versions.
    """

    features: frozenset[str]
    minor: int


class Granted(msgspec.Struct, frozen=True):
    """The peer has dealt with data of byte streams: what waited for their credit may go on.

    Attributes:
        streams: Their numbers.
    """

    streams: tuple[int, ...]


class Closed(msgspec.Struct, frozen=True):
    """The session has closed; the last event. The shell sends the remaining frames and closes the link.

    Attributes:
        error: Why; None where this side ended it in order.
        by_peer: The peer said `Bye`, or its connection ended.
    """

    error: errors.DevloopError | None
    by_peer: bool = False


Event = messages.Message | commands.Command | Authenticated | Opened | Granted | Closed
