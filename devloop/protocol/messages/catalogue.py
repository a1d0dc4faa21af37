"""The catalogue: which messages there are, and what is asked of any of them."""

from __future__ import annotations

from devloop.protocol.messages import batch, handshake, link, notification, request, stream
from devloop.protocol.messages.base import FRAME_COST_BYTES

Control = (
    handshake.Nonce
    | handshake.Proof
    | link.Bye
    | handshake.AgentHello
    | handshake.LaptopHello
    | handshake.Welcome
    | link.Ping
    | link.Pong
    | link.Credit
    | batch.Rules
    | batch.Begin
    | batch.Copy
    | batch.Cancel
    | batch.Commit
    | batch.Abort
    | batch.Need
    | batch.Problems
    | batch.Ack
    | request.Request
    | request.Done
    | notification.Findings
    | notification.AppChanged
    | notification.HookStarted
    | notification.HookDone
    | stream.Dial
    | stream.Dialled
    | stream.Listen
    | stream.Listening
    | stream.Unlisten
    | stream.Accepted
    | stream.Eof
    | stream.Reset
)

Bulk = batch.Ops | batch.Pack | batch.Chunk | batch.Delta | request.Part | notification.Output | stream.Data

Message = Control | Bulk


def cost(message: Bulk) -> int:
    """Return how many bytes of its stream's credit a message uses up."""
    return len(message.data) + FRAME_COST_BYTES


def stream_of(message: Message) -> int | None:
    """Return the number of the sender's stream that a message belongs to; None where it belongs to none."""
    return getattr(message, message.follows) if message.follows else None
