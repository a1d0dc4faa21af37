"""Every message of the protocol, as frozen structs.

A frame on the wire is a sequence number and one of these, encoded as a msgpack array whose first element is the
message's tag (`devloop.protocol.codec`). Tags and field order are the wire format: a new field goes to the end with
a default, a new message gets a new tag, and both raise `version.MINOR`; anything else raises `version.MAJOR`.

Paths are bytes here, as file systems have them; whoever takes one out of a message passes it through
`paths.from_wire`. *Control* messages are sent at once and need no credit. *Bulk* messages belong to a stream and
use up its credit (`devloop.protocol.flow`).
"""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

from devloop.core.entry import Entry
from devloop.core.problem import Reason


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of all messages."""

    bulk: ClassVar[bool] = False


class _Bulk(_Message, frozen=True, array_like=True, gc=False):
    """The base of messages that use up a stream's credit: `data` counts.

    Attributes:
        stream: The stream's number, chosen by the sender; a batch's stream is the batch's number.
    """

    stream: int

    bulk: ClassVar[bool] = True


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
    major: int
    nonce: bytes
    version: str


class Proof(_Message, frozen=True, array_like=True, gc=False, tag=2):
    """Proof of knowing the agent's key: an HMAC over both nonces and the sender's role. The laptop's comes first."""

    mac: bytes


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
        stream_credit_bytes: Initial credit of every stream towards it.
        max_streams: Streams that may be open towards it at once.
        max_delta_bytes: Largest file that it takes as a delta.
    """

    stream_credit_bytes: int = 4 * 1024 * 1024
    max_streams: int = 256
    max_delta_bytes: int = 8 * 1024 * 1024


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
    """

    to: str
    tree_id: str
    digest: bytes
    managed: int
    fresh: bool
    trouble: str = ""
    case_sensitive: bool = True


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

    minor: int
    features: frozenset[str]
    version: str
    boot_id: str
    epoch: int
    session: str
    owner: str
    held: bool
    limits: Limits
    roots: tuple[RootState, ...]
    uid: int
    gid: int


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

    minor: int
    features: frozenset[str]
    version: str
    epoch: int
    session: str
    owner: str
    limits: Limits
    syncs: tuple[SyncSpec, ...]
    app: AppSpec


class Welcome(_Message, frozen=True, array_like=True, gc=False, tag=6):
    """The agent accepts the claim: the session is open."""

    epoch: int


# ---- keeping the link ---------------------------------------------------------------------------------------


class Ping(_Message, frozen=True, array_like=True, gc=False, tag=7):
    """Asks for a `Pong` with the same token."""

    token: int


class Pong(_Message, frozen=True, array_like=True, gc=False, tag=8):
    """Answers a `Ping`."""

    token: int


class Credit(_Message, frozen=True, array_like=True, gc=False, tag=9):
    """The receiver of a stream has dealt with so many bytes of it, and takes as many more.

    Attributes:
        stream: The stream, by its sender's number.
        size: Bytes.
    """

    stream: int
    size: int


# ---- batches, laptop to agent -------------------------------------------------------------------------------


class Codec(enum.IntEnum):
    """How `data` is encoded."""

    RAW = 0
    ZSTD = 1


class WireOp(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `devloop.core.ops.Op` on the wire."""

    action: int
    root: int
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

    root: int
    digest: bytes
    raw_size: int
    data: bytes


class Begin(_Message, frozen=True, array_like=True, gc=False, tag=11):
    """A batch begins: `Ops`, then bodies in any order, then `Commit`.

    Attributes:
        batch: Its number, rising by one within a session.
        ops: How many ops it has.
    """

    batch: int
    ops: int


class Ops(_Bulk, frozen=True, array_like=True, gc=False, tag=12):
    """Some of a batch's ops, in order; numbered from 0 through all `Ops` of the batch.

    Attributes:
        stream: The batch.
        raw_size: Bytes after decompression.
        data: zstd of a msgpack list of `WireOp`.
    """

    raw_size: int
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

    ops: tuple[int, ...]
    raw_size: int
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

    op: int
    offset: int
    raw_size: int
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

    op: int
    base: bytes
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

    batch: int
    op: int
    root: int
    path: bytes


class Cancel(_Message, frozen=True, array_like=True, gc=False, tag=17):
    """These ops' bodies will not come: leave their paths as they are.

    Attributes:
        batch: The batch.
        ops: The ops' numbers.
    """

    batch: int
    ops: tuple[int, ...]


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

    batch: int
    hooks: tuple[HookSpec, ...] = ()
    reload: bool = True


class Abort(_Message, frozen=True, array_like=True, gc=False, tag=19):
    """Forget the batch: nothing of it is applied."""

    batch: int


# ---- batches, agent to laptop -------------------------------------------------------------------------------


class Need(_Message, frozen=True, array_like=True, gc=False, tag=30):
    """A delta or copy could not be made good: send these bodies whole.

    Attributes:
        batch: The batch.
        ops: The ops' numbers.
    """

    batch: int
    ops: tuple[int, ...]


class WireProblem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `devloop.core.problem.Problem` of the pod side."""

    root: int
    path: bytes
    reason: Reason
    detail: str
    errno: int = 0


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

    batch: int
    low_water: int
    digests: tuple[bytes, ...]
    problems: tuple[WireProblem, ...] = ()
    overwritten: tuple[tuple[int, bytes], ...] = ()
    refused: str = ""
    apply_us: int = 0


# ---- questions and answers ----------------------------------------------------------------------------------


class Ask(enum.StrEnum):
    """What a `Request` asks for."""

    MANIFEST = "manifest"
    """Every managed entry of one root, then every other one that the rules do not protect."""
    SWEEP = "sweep"
    """A full sweep of every root now; its `Findings` come before the answer."""
    RESTART = "restart"
    """Restart the app."""
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

    request: int
    ask: Ask
    root: int = 0
    path: bytes = b""
    digest: bytes = b""


class ManifestRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One path of a manifest.

    Attributes:
        path: The path.
        entry: What is really there.
        managed: devloop shipped or adopted it.
    """

    path: bytes
    entry: Entry
    managed: bool


class Part(_Bulk, frozen=True, array_like=True, gc=False, tag=41):
    """A piece of an answer.

    Attributes:
        stream: The request.
        raw_size: Bytes after decompression.
        codec: How `data` is encoded.
        data: Content of a file, or a msgpack list of `ManifestRow`.
    """

    raw_size: int
    codec: Codec
    data: bytes


class Done(_Message, frozen=True, array_like=True, gc=False, tag=42):
    """A request was answered, or refused.

    Attributes:
        request: The request.
        error: Why it was refused, for people; empty where it was not.
    """

    request: int
    error: str = ""


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

    root: int
    drift: tuple[WireDrift, ...]
    drift_count: int
    extra: tuple[bytes, ...]
    extra_count: int
    protected_count: int
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
    dropped: int
    data: bytes


class AppChanged(_Message, frozen=True, array_like=True, gc=False, tag=45):
    """The app's state after a change.

    Attributes:
        phase: `running`, `stopping`, `backoff`, `crashed`, `stopped`.
        pid: Its process, or 0.
        starts: How often it was started by this agent.
        detail: How it ended or why it waits, for people; may be empty.
    """

    phase: str
    pid: int
    starts: int
    detail: str = ""


class HookStarted(_Message, frozen=True, array_like=True, gc=False, tag=46):
    """A hook or reload command was started."""

    name: str


class HookDone(_Message, frozen=True, array_like=True, gc=False, tag=47):
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
    duration_ms: int


Message = (
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
    | Ops
    | Pack
    | Chunk
    | Delta
    | Copy
    | Cancel
    | Commit
    | Abort
    | Need
    | Ack
    | Request
    | Part
    | Done
    | Findings
    | Output
    | AppChanged
    | HookStarted
    | HookDone
)

Bulk = Ops | Pack | Chunk | Delta | Part | Output

OUTPUT_STREAM = 1
"""The stream of `Output`. Requests and batches are numbered from 16 on, so that fixed streams have room."""

FIRST_NUMBER = 16
"""The first batch and the first request."""
