"""Every message of the protocol, as frozen structs.

A frame on the wire is a sequence number and one of these, encoded as a msgpack array whose first element is the
message's tag (`devloop.protocol.codec`). Tags and field order are the wire format: a new field goes to the end with
a default, a new message gets a new tag, and both raise `version.MINOR`; anything else raises `version.MAJOR`.

Paths are bytes here, as file systems have them; whoever takes one out of a message passes it through
`paths.from_wire`. *Control* messages are sent at once and need no credit. *Bulk* messages belong to a stream and
use up its credit (`devloop.protocol.flow`). Messages of one stream, bulk or control, keep their order.

The submodules hold the messages by what they are about; everybody else imports this package and says
`messages.Begin`.
"""

from __future__ import annotations

from devloop.protocol.messages.base import (
    FIRST_NUMBER,
    FIRST_STREAM,
    FRAME_COST_BYTES,
    MAX_DATA_BYTES,
    OUTPUT_STREAM,
    Codec,
    Count,
    Digest,
)
from devloop.protocol.messages.batch import (
    Abort,
    Ack,
    Begin,
    Cancel,
    Chunk,
    Commit,
    Copy,
    Delta,
    HookSpec,
    Need,
    Ops,
    Pack,
    Problems,
    Rules,
    WireOp,
    WireProblem,
)
from devloop.protocol.messages.catalogue import (
    Bulk,
    Control,
    Message,
    cost,
    stream_of,
)
from devloop.protocol.messages.handshake import (
    AgentHello,
    AppSpec,
    LaptopHello,
    Limits,
    Nonce,
    Proof,
    ReloadMode,
    RootState,
    StreamLimits,
    SyncSpec,
    Welcome,
)
from devloop.protocol.messages.link import (
    Bye,
    Credit,
    Ping,
    Pong,
    Refusal,
)
from devloop.protocol.messages.notification import (
    AppChanged,
    Findings,
    HookDone,
    HookStarted,
    Output,
    WireDrift,
)
from devloop.protocol.messages.request import (
    Ask,
    Done,
    ManifestRow,
    Part,
    Request,
)
from devloop.protocol.messages.stream import (
    MAX_HOST_CHARS,
    MAX_WORDS_CHARS,
    Accepted,
    Data,
    Dial,
    Dialled,
    Eof,
    Listen,
    Listening,
    Reset,
    Unlisten,
)

__all__ = [
    "FIRST_NUMBER",
    "FIRST_STREAM",
    "FRAME_COST_BYTES",
    "MAX_DATA_BYTES",
    "MAX_HOST_CHARS",
    "MAX_WORDS_CHARS",
    "OUTPUT_STREAM",
    "Abort",
    "Accepted",
    "Ack",
    "AgentHello",
    "AppChanged",
    "AppSpec",
    "Ask",
    "Begin",
    "Bulk",
    "Bye",
    "Cancel",
    "Chunk",
    "Codec",
    "Commit",
    "Control",
    "Copy",
    "Count",
    "Credit",
    "Data",
    "Delta",
    "Dial",
    "Dialled",
    "Digest",
    "Done",
    "Eof",
    "Findings",
    "HookDone",
    "HookSpec",
    "HookStarted",
    "LaptopHello",
    "Limits",
    "Listen",
    "Listening",
    "ManifestRow",
    "Message",
    "Need",
    "Nonce",
    "Ops",
    "Output",
    "Pack",
    "Part",
    "Ping",
    "Pong",
    "Problems",
    "Proof",
    "Refusal",
    "ReloadMode",
    "Request",
    "Reset",
    "RootState",
    "Rules",
    "StreamLimits",
    "SyncSpec",
    "Unlisten",
    "Welcome",
    "WireDrift",
    "WireOp",
    "WireProblem",
    "cost",
    "stream_of",
]
