"""What the agent tells by itself: what its sweeps found, and what the app, hooks and reload commands do and print."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from devloop.core.entry import Entry
from devloop.protocol.messages.base import OUTPUT_STREAM, BaseMessage, BulkMessage, Count


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


class Findings(BaseMessage, frozen=True, array_like=True, gc=False, tag=43):
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


class Output(BulkMessage, frozen=True, array_like=True, gc=False, tag=44):
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


class _News(BaseMessage, frozen=True, array_like=True, gc=False):
    """The base of control messages that keep their place among the lines of `Output`."""

    output_stream: ClassVar[int] = OUTPUT_STREAM

    follows: ClassVar[str] = "output_stream"


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
