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
        gone: It is a target no longer: its pod was deleted or replaced.
    """

    target: str
    up: bool
    detail: str = ""
    retry_s: float = 0.0
    gone: bool = False


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
        skipped: Paths that devloop does not ship: sockets, links that lead out.
        total_files: Files that the service has in all; 0 where nobody counted.
    """

    files: int
    deletes: int
    total_bytes: int
    ms: float
    first: bool = False
    skipped: int = 0
    total_files: int = 0


class SyncFailed(Event, frozen=True, tag="sync_failed", kw_only=True):
    """Everything that can be done was done, and the service is not in sync all the same.

    Attributes:
        message: Why; may be empty where the counts say it.
        problems: How many paths could not be read or applied.
        held: Deletions that wait for approval.
        skipped: Paths that devloop does not ship; these are no failure.
        files: Paths put since it last came to rest.
        deletes: Paths removed since then.
        ms: From the first change to the last ack.
    """

    message: str
    problems: int = 0
    held: int = 0
    skipped: int = 0
    files: int = 0
    deletes: int = 0
    ms: float = 0.0


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
        extra: Paths there that devloop does not know.
    """

    target: str
    count: int
    paths: tuple[str, ...]
    overwritten: bool = False
    extra: int = 0


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
        source: `app`, `build`, the hook's name, or `log` where it was read from a container's log.
        lines: The lines, without line ends.
        err: They came on standard error.
        dropped: Lines lost before these.
        pod: For `log`: whose.
        container: Likewise.
    """

    source: str
    lines: tuple[str, ...]
    err: bool = False
    dropped: int = 0
    pod: str = ""
    container: str = ""


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
        new: Commit now, abbreviated; empty on a branch without a commit.
    """

    old: str
    new: str


class ForwardChanged(Event, frozen=True, tag="forward", kw_only=True):
    """A forwarded port listens now, or cannot, or is no longer declared.

    Attributes:
        kind: See `devloop.sync.status.ForwardStatus`.
        local: Where it is on the laptop.
        to: Where it leads.
        state: `listening`, `failed`, `already there`, `removed`.
        detail: Why, or which of several ports it is.
        hint: What to do about it.
        code: The error's code, where it failed.
    """

    kind: str
    local: str
    to: str
    state: str
    detail: str = ""
    hint: str = ""
    code: str = ""


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
    | ForwardChanged
    | Stopping
)


def to_json(event: Event) -> bytes:
    """Return the event as one line of JSON, without the line end. See `encode` for file names that are not UTF-8."""
    return b'{"v":%d,' % VERSION + encode(event)[1:]


def encode(value: object) -> bytes:
    r"""Return a value as JSON, whatever file names are in it.

    JSON is Unicode and file names are bytes: one that is not UTF-8 is written with its bytes as `\xe9`.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_well_formed(msgspec.to_builtins(value)))


def from_json(line: bytes) -> Event:
    """Return the event of a line.

    Raises:
        msgspec.DecodeError: It is not one.
    """
    return _decoder.decode(line)


def _well_formed(value: object) -> object:
    """Return plain values with every undecodable byte written out."""
    match value:
        case str():
            return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        case dict():
            return {key: _well_formed(child) for key, child in value.items()}
        case list() | tuple():
            return [_well_formed(child) for child in value]
        case _:
            return value


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)
