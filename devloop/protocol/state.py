"""The protocol's state table: who may send what, and when.

Theory of operation
-------------------
Each session half is in one state, and every message that it sends or receives either keeps that state, leads to
another, or is refused. Two rules keep this honest:

- Everything about the order of messages is in this module. No other module looks at the state to decide whether
  a message is allowed.
- This module knows nothing about what messages contain. What a nonce must look like, or whether a batch's bodies
  are complete, is decided elsewhere and ends in `Bye`, which is allowed everywhere.

A session goes through these states, the agent's side through `GREETING` and the laptop's through
`AWAIT_WELCOME`:

    AWAIT_NONCE     Both sides have sent their nonce at once, and wait for the other's.
    AWAIT_PROOF     The laptop proves first that it knows the key. The agent tells nothing about itself before.
    GREETING        The agent has verified the laptop and proved itself; its shell is to send `AgentHello`.
    AWAIT_HELLO     Both are who they say; the other side's hello comes next.
    DECIDING        The other's hello came; this side's shell answers it, or says `Bye`.
    AWAIT_WELCOME   The laptop has made its claim.
    OPEN            Work.
    CLOSED          Nothing is sent or received any more. Reached from everywhere by `Bye` and by any error.

Pings are allowed once both sides are proved: opening a session may take the agent longer than a link may be
silent. Sending what the table does not allow is a bug here (`LocalProtocolError`), receiving it is the peer's or
the line's (`RemoteProtocolError`). The diagrams in docs/protocol.md are made from the table.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from devloop import errors
from devloop.protocol import messages


class Role(enum.StrEnum):
    """Which half of a session this is."""

    LAPTOP = "laptop"
    AGENT = "agent"

    @property
    def other(self) -> Role:
        """The half at the other end of the link."""
        return Role.AGENT if self is Role.LAPTOP else Role.LAPTOP


class State(enum.StrEnum):
    """Where a session half stands; told in the module's docstring."""

    AWAIT_NONCE = "await-nonce"
    AWAIT_PROOF = "await-proof"
    GREETING = "greeting"
    AWAIT_HELLO = "await-hello"
    DECIDING = "deciding"
    AWAIT_WELCOME = "await-welcome"
    OPEN = "open"
    CLOSED = "closed"


class Way(enum.StrEnum):
    """Whether a message goes out or comes in."""

    SEND = "send"
    RECEIVE = "receive"


Kind = type[messages.Message]
Row = Mapping[Kind, State]

_KEEPALIVE: Final = (messages.Ping, messages.Pong)

_STREAM_WORK: Final = (messages.Dialled, messages.Data, messages.Eof, messages.Reset)

_LAPTOP_WORK: Final = (
    messages.Rules,
    messages.Begin,
    messages.Ops,
    messages.Pack,
    messages.Chunk,
    messages.Delta,
    messages.Copy,
    messages.Cancel,
    messages.Commit,
    messages.Abort,
    messages.Request,
    messages.Dial,
    messages.Listen,
    messages.Unlisten,
    messages.Credit,
    *_STREAM_WORK,
)

_AGENT_WORK: Final = (
    messages.Need,
    messages.Problems,
    messages.Ack,
    messages.Part,
    messages.Done,
    messages.Findings,
    messages.Output,
    messages.AppChanged,
    messages.HookStarted,
    messages.HookDone,
    messages.Listening,
    messages.Accepted,
    messages.Credit,
    *_STREAM_WORK,
)

_PROVED: Final = (State.GREETING, State.AWAIT_HELLO, State.DECIDING, State.AWAIT_WELCOME, State.OPEN)

# The moves that change a state, in the order in which they happen.
_MOVES: Final[Mapping[Role, tuple[tuple[State, Way, Kind, State], ...]]] = {
    Role.LAPTOP: (
        (State.AWAIT_NONCE, Way.SEND, messages.Nonce, State.AWAIT_NONCE),
        (State.AWAIT_NONCE, Way.RECEIVE, messages.Nonce, State.AWAIT_PROOF),
        (State.AWAIT_PROOF, Way.SEND, messages.Proof, State.AWAIT_PROOF),
        (State.AWAIT_PROOF, Way.RECEIVE, messages.Proof, State.AWAIT_HELLO),
        (State.AWAIT_HELLO, Way.RECEIVE, messages.AgentHello, State.DECIDING),
        (State.DECIDING, Way.SEND, messages.LaptopHello, State.AWAIT_WELCOME),
        (State.AWAIT_WELCOME, Way.RECEIVE, messages.Welcome, State.OPEN),
    ),
    Role.AGENT: (
        (State.AWAIT_NONCE, Way.SEND, messages.Nonce, State.AWAIT_NONCE),
        (State.AWAIT_NONCE, Way.RECEIVE, messages.Nonce, State.AWAIT_PROOF),
        (State.AWAIT_PROOF, Way.RECEIVE, messages.Proof, State.GREETING),
        (State.GREETING, Way.SEND, messages.Proof, State.GREETING),
        (State.GREETING, Way.SEND, messages.AgentHello, State.AWAIT_HELLO),
        (State.AWAIT_HELLO, Way.RECEIVE, messages.LaptopHello, State.DECIDING),
        (State.DECIDING, Way.SEND, messages.Welcome, State.OPEN),
    ),
}


def _rows(role: Role) -> dict[tuple[State, Way], dict[Kind, State]]:
    rows: dict[tuple[State, Way], dict[Kind, State]] = {(state, way): {} for state in State for way in Way}
    for before, way, kind, after in _MOVES[role]:
        rows[before, way][kind] = after
    for way in Way:
        for state in _PROVED:
            rows[state, way].update(dict.fromkeys(_KEEPALIVE, state))
        for state in State:
            if state is not State.CLOSED:
                rows[state, way][messages.Bye] = State.CLOSED
    mine, theirs = (_LAPTOP_WORK, _AGENT_WORK) if role is Role.LAPTOP else (_AGENT_WORK, _LAPTOP_WORK)
    rows[State.OPEN, Way.SEND].update(dict.fromkeys(mine, State.OPEN))
    rows[State.OPEN, Way.RECEIVE].update(dict.fromkeys(theirs, State.OPEN))
    return rows


TABLE: Final[Mapping[Role, Mapping[tuple[State, Way], Row]]] = {role: _rows(role) for role in Role}
"""For each role, state and way: the messages that are allowed, and the state that each leads to."""


def after_sending(role: Role, state: State, kind: Kind) -> State:
    """Return the state after sending a message of this kind.

    Raises:
        LocalProtocolError: The table does not allow it.
    """
    try:
        return TABLE[role][state, Way.SEND][kind]
    except KeyError:
        name = kind.__name__
        raise errors.LocalProtocolError(f"the {role} must not send {name} in state {state}", where=name) from None


def after_receiving(role: Role, state: State, kind: Kind) -> State:
    """Return the state after receiving a message of this kind.

    Raises:
        RemoteProtocolError: The table does not allow it.
    """
    try:
        return TABLE[role][state, Way.RECEIVE][kind]
    except KeyError:
        name = kind.__name__
        raise errors.RemoteProtocolError(f"the {role} got {name} in state {state}", where=name) from None


def is_proved(state: State) -> bool:
    """Say whether the peer has proved in this state that it knows the key."""
    return state in _PROVED


def diagram(role: Role) -> str:
    """Return the table of one role as a mermaid state diagram; `Bye`, pings and the work in `OPEN` are left out."""
    lines = ["stateDiagram-v2", f"    [*] --> {_label(State.AWAIT_NONCE)}"]
    for before, way, kind, after in _MOVES[role]:
        arrow = "sends" if way is Way.SEND else "receives"
        lines.append(f"    {_label(before)} --> {_label(after)}: {arrow} {kind.__name__}")
    lines.append(f"    {_label(State.OPEN)} --> {_label(State.CLOSED)}: Bye or an error, from every state")
    lines.append(f"    {_label(State.CLOSED)} --> [*]")
    return "\n".join(lines) + "\n"


def _label(state: State) -> str:
    return state.name
