"""Everything that happens, as one stream of values: what views show, `-o json` prints and tests read.

Made by the engine and the daemon, passed on by the daemon's bus, drawn by `devloop.ui`. The JSON form is public and
versioned: `{"v": 1, "event": "sync_complete", "time": …, "service": …, …}`; fields may be added.
"""

from __future__ import annotations

import enum

import msgspec

VERSION = 1


class Level(enum.StrEnum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Event(msgspec.Struct, frozen=True, tag_field="event", tag=str.lower, kw_only=True):
    """The base of all events.

    Attributes:
        time: Seconds since the epoch.
        service: The service it is about; empty for the project.
    """

    time: float = 0.0
    service: str = ""


class ProjectStarted(Event, frozen=True, tag="project_started", kw_only=True):
    """The project is being watched.

    Attributes:
        project: Its name.
        folder: Its folder.
        services: The services' names.
        pid: The watching process.
    """

    project: str
    folder: str
    services: tuple[str, ...]
    pid: int


class Ready(Event, frozen=True, tag="ready", kw_only=True):
    """Every service was in sync for the first time."""

    ms: float


class Notice(Event, frozen=True, tag="notice", kw_only=True):
    """Something a person should know.

    Attributes:
        level: How much it matters.
        message: What happened.
        hint: What to do about it.
        code: The error's code, where it has one.
    """

    level: Level
    message: str
    hint: str = ""
    code: str = ""


class LinkChanged(Event, frozen=True, tag="link", kw_only=True):
    """The link to a service's agent opened or closed.

    Attributes:
        target: Which one: a pod's name, or the local target's folder.
        up: It is open.
        detail: Why not.
        retry_s: Seconds until the next try; 0 where it is open.
    """

    target: str
    up: bool
    detail: str = ""
    retry_s: float = 0.0


class SyncStarted(Event, frozen=True, tag="sync_started", kw_only=True):
    """A batch is on its way.

    Attributes:
        batch: Its number.
        files: Paths that are put.
        deletes: Paths that are removed.
        total_bytes: Size of what is put.
        git: It is the outcome of a git operation.
        paths: Some of the paths, for people.
    """

    batch: int
    files: int
    deletes: int
    total_bytes: int
    git: bool = False
    paths: tuple[str, ...] = ()


class SyncComplete(Event, frozen=True, tag="sync_complete", kw_only=True):
    """Every agent of the service has acked everything: it is in sync.

    Attributes:
        files: Paths put since it was last in sync.
        deletes: Paths removed since then.
        total_bytes: Size of what was put.
        ms: From the first change to the last ack.
        first: It is the first time.
    """

    files: int
    deletes: int
    total_bytes: int
    ms: float
    first: bool = False


class SyncFailed(Event, frozen=True, tag="sync_failed", kw_only=True):
    """A batch was refused, or some of its paths could not be applied.

    Attributes:
        message: Why.
        problems: How many paths are concerned.
    """

    message: str
    problems: int = 0


class ProblemRow(msgspec.Struct, frozen=True):
    """One path's trouble, as views show it."""

    path: str
    reason: str
    detail: str
    side: str


class ProblemsChanged(Event, frozen=True, tag="problems", kw_only=True):
    """The paths that are in trouble now; all of them, each time.

    Attributes:
        problems: The rows, cut at 200.
        count: How many there are.
    """

    problems: tuple[ProblemRow, ...]
    count: int


class Held(Event, frozen=True, tag="held", kw_only=True):
    """Deletions wait for approval, or no longer do.

    Attributes:
        count: How many files; 0 when the hold is over.
        managed: Of how many.
        paths: Some of them.
    """

    count: int
    managed: int = 0
    paths: tuple[str, ...] = ()


class Stopped(Event, frozen=True, tag="stopped", kw_only=True):
    """A sync stopped because its folder cannot be trusted; nothing was deleted.

    Attributes:
        sync: `from -> to`.
        reason: Why.
        hint: What to do.
    """

    sync: str
    reason: str
    hint: str = ""


class Resumed(Event, frozen=True, tag="resumed", kw_only=True):
    """A stopped sync goes on."""

    sync: str


class Paused(Event, frozen=True, tag="paused", kw_only=True):
    """Sending was paused or resumed by the user."""

    paused: bool


class Drifted(Event, frozen=True, tag="drift", kw_only=True):
    """Managed paths that somebody else changed in the target.

    Attributes:
        target: Where.
        count: How many.
        paths: Some of them.
        overwritten: They were just overwritten by a batch that touched them.
    """

    target: str
    count: int
    paths: tuple[str, ...]
    overwritten: bool = False


class Pulled(Event, frozen=True, tag="pulled", kw_only=True):
    """A file was taken over from the target.

    Attributes:
        path: The path on the laptop, relative to the project.
        conflict: The laptop's own version was kept; this is where the pod's went. Empty otherwise.
    """

    path: str
    conflict: str = ""


class Output(Event, frozen=True, tag="output", kw_only=True):
    """Lines that the app, a hook or a build printed.

    Attributes:
        source: `app`, `build`, or the hook's name.
        lines: The lines, without line ends.
        err: They came on standard error.
        dropped: Lines lost before these.
    """

    source: str
    lines: tuple[str, ...]
    err: bool = False
    dropped: int = 0


class AppChanged(Event, frozen=True, tag="app", kw_only=True):
    """The app's state.

    Attributes:
        phase: `running`, `stopping`, `backoff`, `crashed`, `stopped`.
        pid: Its process, or 0.
        starts: How often it was started.
        detail: How it ended or why it waits.
    """

    phase: str
    pid: int
    starts: int
    detail: str = ""


class CommandStarted(Event, frozen=True, tag="command_started", kw_only=True):
    """A hook, reload command or build was started."""

    name: str


class CommandDone(Event, frozen=True, tag="command_done", kw_only=True):
    """A hook, reload command or build ended.

    Attributes:
        name: Which.
        ok: With status 0.
        outcome: How, for people.
        ms: How long it ran.
    """

    name: str
    ok: bool
    outcome: str
    ms: float


class GitMoved(Event, frozen=True, tag="git_moved", kw_only=True):
    """HEAD moved.

    Attributes:
        old: Commit before, abbreviated; may be empty.
        new: Commit now, abbreviated.
    """

    old: str
    new: str


class Stopping(Event, frozen=True, tag="stopping", kw_only=True):
    """The watch ends."""

    reason: str = ""


Any = (
    ProjectStarted
    | Ready
    | Notice
    | LinkChanged
    | SyncStarted
    | SyncComplete
    | SyncFailed
    | ProblemsChanged
    | Held
    | Stopped
    | Resumed
    | Paused
    | Drifted
    | Pulled
    | Output
    | AppChanged
    | CommandStarted
    | CommandDone
    | GitMoved
    | Stopping
)


def to_json(event: Event) -> bytes:
    """Return the event as one line of JSON, without the line end."""
    body = msgspec.json.encode(event)
    return b'{"v":%d,' % VERSION + body[1:]


def from_json(line: bytes) -> Event:
    """Return the event of a line.

    Raises:
        msgspec.DecodeError: It is not one.
    """
    return _decoder.decode(line)


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)
