"""The messages that open a session: nonces and proofs, what each side is and takes, the laptop's claim."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from devloop.protocol.messages.base import BaseMessage, Count, Digest


class Nonce(BaseMessage, frozen=True, array_like=True, gc=False, tag=1):
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


class Proof(BaseMessage, frozen=True, array_like=True, gc=False, tag=2):
    """Proof of knowing the agent's key: an HMAC over both nonces and the sender's role. The laptop's comes first."""

    mac: Digest


class StreamLimits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much of byte streams a side is ready to receive; apart from all else, so that neither takes from the other.

    The bound of what it keeps in memory is `2 * max_open * own_bytes + shared_bytes`: 80 MiB.

    Attributes:
        max_open: Streams that the other side may have opened and that are not gone.
        own_bytes: Credit that each stream has to itself, whatever the others do.
        shared_bytes: Credit beyond that, for all together: each may have at most as much of it as it leaves free.
    """

    max_open: Annotated[int, msgspec.Meta(ge=16, le=65536)] = 512
    own_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024, le=2**62)] = 64 * 1024
    shared_bytes: Annotated[int, msgspec.Meta(ge=1024 * 1024, le=2**62)] = 16 * 1024 * 1024


class Limits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a side is ready to receive.

    Attributes:
        stream_credit_bytes: Initial credit of every stream towards it. At least 2 MiB, so that a whole delta and the
            credit that waits for company (`devloop.protocol.flow`) fit besides the next frame.
        max_streams: Streams that may be open towards it at once.
        max_delta_bytes: Largest file that it takes as a delta.
        total_credit_bytes: Credit of all streams together: the bound of what it keeps in memory.
        streams: The same for byte streams, which none of the others counts.
    """

    stream_credit_bytes: Annotated[int, msgspec.Meta(ge=2 * 1024 * 1024, le=2**62)] = 4 * 1024 * 1024
    max_streams: Annotated[int, msgspec.Meta(ge=64, le=65536)] = 256
    max_delta_bytes: Count = 8 * 1024 * 1024
    total_credit_bytes: Annotated[int, msgspec.Meta(ge=8 * 1024 * 1024, le=2**62)] = 16 * 1024 * 1024
    streams: StreamLimits = StreamLimits()


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


class AgentHello(BaseMessage, frozen=True, array_like=True, gc=False, tag=4):
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


class LaptopHello(BaseMessage, frozen=True, array_like=True, gc=False, tag=5):
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


class Welcome(BaseMessage, frozen=True, array_like=True, gc=False, tag=6):
    """The agent accepts the claim: the session is open."""

    epoch: Count
