"""Every message of the protocol, as frozen structs.

A frame on the wire is a sequence number and one of these, encoded as a msgpack array whose first element is the
message's tag (`devloop.protocol.codec`). Tags and field order are the wire format: a new field goes to the end with
a default, a new message gets a new tag, and both raise `version.MINOR`; anything else raises `version.MAJOR`.

Paths are bytes here, as file systems have them; whoever takes one out of a message passes it through
`paths.from_wire`. *Control* messages are sent at once and need no credit. *Bulk* messages belong to a stream and
use up its credit (`devloop.protocol.flow`). Messages of one stream, bulk or control, keep their order.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Final

import msgspec

from devloop.core.entry import DIGEST_BYTES, Entry
from devloop.core.problem import Reason

Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""A number of something. Decoding refuses others, so that no arithmetic behind it has to think of them."""

Digest = Annotated[bytes, msgspec.Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]
"""A sha256. Nonces and proofs have the same length."""


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of all messages.

    Attributes:
        follows: The field that names the sender's stream this message belongs to. It is sent behind everything of
            that stream that was to be sent before it. Messages without one are sent at once.
    """

    follows: ClassVar[str] = ""


class _Bulk(_Message, frozen=True, array_like=True, gc=False):
    """The base of messages that use up a stream's credit: `data` counts, and `FRAME_COST_BYTES`.

    Attributes:
        stream: The stream's number, chosen by the sender; a batch's stream is the batch's number.
    """

    stream: Count

    follows: ClassVar[str] = "stream"


class _News(_Message, frozen=True, array_like=True, gc=False):
    """The base of control messages that keep their place among the lines of `Output`."""

    output_stream: ClassVar[int] = 1

    follows: ClassVar[str] = "output_stream"


# ---- proving who one is -------------------------------------------------------------------------------------


class Nonce(_Message, frozen=True, array_like=True, gc=False, tag=1):
    """Both sides' first message. Its form is the same in every version, so that skew can be told.

    Attributes:
        magic: `devloop`.
        major: The protocol's major version.
        nonce: 32 random bytes.
        version: devloop's own version, for the message about skew.
    """

    magic: str
    major: Count
    nonce: Digest
    version: str


class Proof(_Message, frozen=True, array_like=True, gc=False, tag=2):
    """Proof of knowing the agent's key: an HMAC over both nonces and the sender's role. The laptop's comes first."""

    mac: Digest


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


class Bye(_Message, frozen=True, array_like=True, gc=False, tag=3):
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


# ---- hello --------------------------------------------------------------------------------------------------


class Limits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a side is ready to receive.

    Attributes:
        stream_credit_bytes: Initial credit of every stream towards it. At least 2 MiB, so that a whole delta and the
            credit that waits for company (`devloop.protocol.flow`) fit besides the next frame.
        max_streams: Streams that may be open towards it at once.
        max_delta_bytes: Largest file that it takes as a delta.
        total_credit_bytes: Credit of all streams together: the bound of what it keeps in memory.
    """

    stream_credit_bytes: Annotated[int, msgspec.Meta(ge=2 * 1024 * 1024, le=2**62)] = 4 * 1024 * 1024
    max_streams: Annotated[int, msgspec.Meta(ge=64, le=65536)] = 256
    max_delta_bytes: Count = 8 * 1024 * 1024
    total_credit_bytes: Annotated[int, msgspec.Meta(ge=8 * 1024 * 1024, le=2**62)] = 16 * 1024 * 1024


class RootState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One root of the agent.

    Attributes:
        to: The folder as the configuration names it, such as `/app`.
        tree_id: The volume's own random identity.
        digest: Root hash over the managed entries that are really there.
        managed: Their number.
        fresh: Nothing was ever applied to this root.
        trouble: Why the root cannot be written, for people; empty where it can.
        case_sensitive: The file system tells `a` from `A`.
        empty: Nothing at all is in the folder: what is shipped there can be in nobody's way.
    """

    to: str
    tree_id: str
    digest: bytes
    managed: Count
    fresh: bool
    trouble: str = ""
    case_sensitive: bool = True
    empty: bool = False


class AgentHello(_Message, frozen=True, array_like=True, gc=False, tag=4):
    """What the agent is; sent after both proofs.

    Attributes:
        minor: The protocol's minor version.
        features: What it can do beyond the major version's base.
        version: devloop's own version.
        boot_id: Random, new for each agent process.
        epoch: The highest session epoch that it has accepted; 0 for none.
        session: That session's identity; empty for none.
        owner: That session's owner, for people.
        held: A link of that session is open now.
        limits: What it takes.
        roots: Its roots, in the order of its arguments.
        uid: Its user.
        gid: Its group.
    """

    minor: Count
    features: frozenset[str]
    version: str
    boot_id: str
    epoch: Count
    session: str
    owner: str
    held: bool
    limits: Limits
    roots: tuple[RootState, ...]
    uid: Count
    gid: Count


class ReloadMode(enum.StrEnum):
    """How the app takes up a batch."""

    NONE = "none"
    SUPERVISE = "supervise"
    SIGNAL = "signal"
    COMMAND = "command"


class AppSpec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The app and its reload, for an agent that is its launcher.

    Attributes:
        mode: What a batch does.
        command: The app's argv; empty where the agent runs no app.
        cwd: Folder in the target, absolute as the configuration says it.
        env: Variables on top of the agent's own environment.
        signal: Name such as `HUP`, for mode signal.
        run: The reload command's argv, for mode command.
        grace_s: Seconds from TERM to KILL.
    """

    mode: ReloadMode
    command: tuple[str, ...] = ()
    cwd: str = ""
    env: dict[str, str] = {}
    signal: str = ""
    run: tuple[str, ...] = ()
    grace_s: float = 5.0


class SyncSpec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One sync as the agent must know it; its number is its root's.

    Attributes:
        to: Must equal the root's.
        pull: Patterns of paths that the laptop pulls.
    """

    to: str
    pull: tuple[str, ...] = ()


class LaptopHello(_Message, frozen=True, array_like=True, gc=False, tag=5):
    """The laptop's claim; answers `AgentHello`.

    Attributes:
        minor: The protocol's minor version.
        features: What it can do beyond the major version's base.
        version: devloop's own version.
        epoch: The agent's own for the same session, else one higher.
        session: The session's identity, the same over all links of one `watch`.
        owner: `user@host`, for people.
        limits: What it takes.
        syncs: One for each root, in the same order.
        app: The app and its reload.
    """

    minor: Count
    features: frozenset[str]
    version: str
    epoch: Count
    session: str
    owner: str
    limits: Limits
    syncs: tuple[SyncSpec, ...]
    app: AppSpec


class Welcome(_Message, frozen=True, array_like=True, gc=False, tag=6):
    """The agent accepts the claim: the session is open."""

    epoch: Count


# ---- keeping the link ---------------------------------------------------------------------------------------


class Ping(_Message, frozen=True, array_like=True, gc=False, tag=7):
    """Asks for a `Pong` with the same token."""

    token: Count


class Pong(_Message, frozen=True, array_like=True, gc=False, tag=8):
    """Answers a `Ping`."""

    token: Count


class Credit(_Message, frozen=True, array_like=True, gc=False, tag=9):
    """What became of the bulk messages that the peer sent: how many arrived, and how many were dealt with.

    The two are told apart so that a stream whose data nobody takes fills its own credit, and not the link.

    Attributes:
        received: Bytes of bulk messages that have arrived on this link, all streams, since its beginning.
        grants: Pairs of a stream, by its sender's number, and the bytes of it that were dealt with since the last
            time: the stream may send as many more.
    """

    received: Count
    grants: tuple[tuple[Count, Count], ...] = ()


# ---- batches, laptop to agent -------------------------------------------------------------------------------


class Codec(enum.IntEnum):
    """How `data` is encoded."""

    RAW = 0
    ZSTD = 1


class WireOp(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `devloop.core.ops.Op` on the wire."""

    action: Count
    root: Count
    path: bytes
    entry: Entry | None = None


class Rules(_Message, frozen=True, array_like=True, gc=False, tag=10):
    """The compiled ignore rules of one root, now or anew.

    Attributes:
        root: The root's number.
        digest: The rule set's own digest.
        raw_size: Bytes after decompression.
        data: zstd of the encoded rule set.
    """

    root: Count
    digest: bytes
    raw_size: Count
    data: bytes


class Begin(_Message, frozen=True, array_like=True, gc=False, tag=11):
    """A batch begins: `Ops`, then bodies in any order, then `Commit`.

    Attributes:
        batch: Its number, rising by one within a session.
        ops: How many ops it has.
    """

    batch: Count
    ops: Count

    follows: ClassVar[str] = "batch"


class Ops(_Bulk, frozen=True, array_like=True, gc=False, tag=12):
    """Some of a batch's ops, in order; numbered from 0 through all `Ops` of the batch.

    Attributes:
        stream: The batch.
        raw_size: Bytes after decompression.
        codec: How `data` is encoded.
        data: A msgpack list of `WireOp`.
    """

    raw_size: Count
    codec: Codec
    data: bytes


class Pack(_Bulk, frozen=True, array_like=True, gc=False, tag=13):
    """Whole bodies of several small files, one behind the other.

    Attributes:
        stream: The batch.
        ops: The ops' numbers, in the order of the bodies; each body is as long as its op's entry says.
        raw_size: Bytes after decompression.
        codec: How `data` is encoded.
        data: The bodies.
    """

    ops: tuple[Count, ...]
    raw_size: Count
    codec: Codec
    data: bytes


class Chunk(_Bulk, frozen=True, array_like=True, gc=False, tag=14):
    """The next piece of one large body.

    Attributes:
        stream: The batch.
        op: The op's number.
        offset: Where the piece begins; pieces come in order.
        raw_size: Bytes after decompression.
        codec: How `data` is encoded.
        data: The piece.
    """

    op: Count
    offset: Count
    raw_size: Count
    codec: Codec
    data: bytes


class Delta(_Bulk, frozen=True, array_like=True, gc=False, tag=15):
    """A piece of a body's zstd prefix delta.

    Attributes:
        stream: The batch.
        op: The op's number.
        base: Digest of the content that the delta builds on: what the path holds now.
        last: This is the last piece.
        data: The piece.
    """

    op: Count
    base: Digest
    last: bool
    data: bytes


class Copy(_Message, frozen=True, array_like=True, gc=False, tag=16):
    """A body that the target has already, at another managed path.

    Attributes:
        batch: The batch.
        op: The op's number.
        root: The root of the source.
        path: The source.
    """

    batch: Count
    op: Count
    root: Count
    path: bytes

    follows: ClassVar[str] = "batch"


class Cancel(_Message, frozen=True, array_like=True, gc=False, tag=17):
    """These ops' bodies will not come: leave their paths as they are.

    Attributes:
        batch: The batch.
        ops: The ops' numbers.
    """

    batch: Count
    ops: tuple[Count, ...]

    follows: ClassVar[str] = "batch"


class HookSpec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command that runs in the target after a batch and before its reload.

    Attributes:
        name: For people.
        argv: The command.
        cwd: Folder in the target, absolute as the configuration says it.
        timeout_s: After this it is ended.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    timeout_s: float = 600.0


class Commit(_Message, frozen=True, array_like=True, gc=False, tag=18):
    """Everything of the batch was sent: apply it.

    Attributes:
        batch: The batch.
        hooks: What runs after it, in order.
        reload: The app takes it up.
    """

    batch: Count
    hooks: tuple[HookSpec, ...] = ()
    reload: bool = True

    follows: ClassVar[str] = "batch"


class Abort(_Message, frozen=True, array_like=True, gc=False, tag=19):
    """Forget the batch: nothing of it is applied."""

    batch: Count

    follows: ClassVar[str] = "batch"


# ---- batches, agent to laptop -------------------------------------------------------------------------------


class Need(_Message, frozen=True, array_like=True, gc=False, tag=30):
    """A delta or copy could not be made good: send these bodies whole.

    Attributes:
        batch: The batch.
        ops: The ops' numbers.
    """

    batch: Count
    ops: tuple[Count, ...]


class WireProblem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `devloop.core.problem.Problem` of the pod side."""

    root: Count
    path: bytes
    reason: Reason
    detail: str
    errno: Count = 0


class Problems(_Message, frozen=True, array_like=True, gc=False, tag=32):
    """More of the problems and overwritten paths of the `Ack` that follows, where they do not fit into one frame.

    `AgentSession` splits them off and `LaptopSession` puts them back; nobody else sees this message.

    Attributes:
        batch: The batch.
        problems: As in `Ack`.
        overwritten: As in `Ack`.
    """

    batch: Count
    problems: tuple[WireProblem, ...] = ()
    overwritten: tuple[tuple[Count, bytes], ...] = ()


class Ack(_Message, frozen=True, array_like=True, gc=False, tag=31):
    """A batch was applied and its digests were verified.

    Attributes:
        batch: The batch.
        low_water: Every batch up to this one is acked, aborted or refused.
        digests: Root hash of each root after it.
        problems: Ops that could not be carried out; everything else of the batch was.
        overwritten: Paths that somebody else had changed, as (root, path): the batch won.
        refused: Why nothing of the batch was applied; empty as a rule.
        apply_us: How long applying took, in microseconds.
    """

    batch: Count
    low_water: Count
    digests: tuple[bytes, ...]
    problems: tuple[WireProblem, ...] = ()
    overwritten: tuple[tuple[Count, bytes], ...] = ()
    refused: str = ""
    apply_us: Count = 0


# ---- questions and answers ----------------------------------------------------------------------------------


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


class Request(_Message, frozen=True, array_like=True, gc=False, tag=40):
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


class Part(_Bulk, frozen=True, array_like=True, gc=False, tag=41):
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


class Done(_Message, frozen=True, array_like=True, gc=False, tag=42):
    """A request was answered, or refused.

    Attributes:
        request: The request.
        error: Why it was refused, for people; empty where it was not.
    """

    request: Count
    error: str = ""

    follows: ClassVar[str] = "request"


# ---- what the agent tells by itself -------------------------------------------------------------------------


class WireDrift(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A managed path that somebody else changed in the target.

    Attributes:
        path: The path.
        was: What devloop shipped.
        now: What is there; None where nothing is.
    """

    path: bytes
    was: Entry
    now: Entry | None


class Findings(_Message, frozen=True, array_like=True, gc=False, tag=43):
    """What a sweep of one root found. Lists are cut at 500; the counts are whole.

    Attributes:
        root: The root's number.
        drift: Managed paths that somebody else changed.
        drift_count: Their number.
        extra: Paths that devloop does not know and the rules do not protect.
        extra_count: Their number.
        protected_count: How many paths the rules protect, folders counted once.
        pulls: Paths that match a pull pattern and are not what was shipped.
    """

    root: Count
    drift: tuple[WireDrift, ...]
    drift_count: Count
    extra: tuple[bytes, ...]
    extra_count: Count
    protected_count: Count
    pulls: tuple[tuple[bytes, Entry], ...] = ()


class Output(_Bulk, frozen=True, array_like=True, gc=False, tag=44):
    """Lines that the app, a hook or a reload command printed.

    Attributes:
        stream: Always 1.
        source: `app`, or the hook's name.
        err: They were printed on standard error.
        dropped: Lines lost before these because nobody took them in time.
        data: The lines, each ended by a newline.
    """

    source: str
    err: bool
    dropped: Count
    data: bytes


class AppChanged(_News, frozen=True, array_like=True, gc=False, tag=45):
    """The app's state after a change.

    Attributes:
        phase: `running`, `stopping`, `backoff`, `crashed`, `stopped`.
        pid: Its process, or 0.
        starts: How often it was started by this agent.
        detail: How it ended or why it waits, for people; may be empty.
    """

    phase: str
    pid: Count
    starts: Count
    detail: str = ""


class HookStarted(_News, frozen=True, array_like=True, gc=False, tag=46):
    """A hook or reload command was started."""

    name: str


class HookDone(_News, frozen=True, array_like=True, gc=False, tag=47):
    """A hook or reload command ended.

    Attributes:
        name: The hook.
        ok: It ended with status 0.
        outcome: `exit 0`, `killed by SIGKILL`, `no such command`, for people.
        duration_ms: How long it ran.
    """

    name: str
    ok: bool
    outcome: str
    duration_ms: Count


Control = (
    Nonce
    | Proof
    | Bye
    | AgentHello
    | LaptopHello
    | Welcome
    | Ping
    | Pong
    | Credit
    | Rules
    | Begin
    | Copy
    | Cancel
    | Commit
    | Abort
    | Need
    | Problems
    | Ack
    | Request
    | Done
    | Findings
    | AppChanged
    | HookStarted
    | HookDone
)

Bulk = Ops | Pack | Chunk | Delta | Part | Output

Message = Control | Bulk

OUTPUT_STREAM: Final = _News.output_stream
"""The stream of `Output`. Requests and batches are numbered from 16 on, so that fixed streams have room."""

FIRST_NUMBER: Final = 16
"""The first batch and the first request."""

MAX_DATA_BYTES: Final = 240 * 1024
"""The most that `data` of one message may hold, as it is sent and decompressed: a frame is at most 256 KiB."""

FRAME_COST_BYTES: Final = 64
"""What a bulk message costs besides its `data`, so that empty ones are not free."""


def cost(message: Bulk) -> int:
    """Return how many bytes of its stream's credit a message uses up."""
    return len(message.data) + FRAME_COST_BYTES


def stream_of(message: Message) -> int | None:
    """Return the number of the sender's stream that a message belongs to; None where it belongs to none."""
    return getattr(message, message.follows) if message.follows else None
