"""What `devloop status` tells: a snapshot of a watching process, as values. The JSON form is public."""

from __future__ import annotations

import msgspec

from devloop.sync import events

VERSION = 1


class TargetStatus(msgspec.Struct, frozen=True):
    """One agent.

    Attributes:
        name: The pod, or the local target's folder.
        up: Its link is open.
        synced: It has acked everything.
        detail: Why the link is down.
        drift: Managed paths that somebody else changed there.
        extra: Paths that devloop does not know there.
        protected: Paths there that the ignore rules cover.
        rtt_ms: Round trip of the last heartbeat.
        uid: Whom its files belong to.
        state: How its pod is, in words; empty on this machine.
    """

    name: str
    up: bool
    synced: bool
    detail: str = ""
    drift: int = 0
    extra: int = 0
    protected: int = 0
    rtt_ms: float = 0.0
    uid: int = -1
    state: str = ""


class SyncStatus(msgspec.Struct, frozen=True, rename={"source": "from"}):
    """One sync.

    Attributes:
        source: The folder on the laptop, relative to the project.
        to: The folder in the container.
        files: Files in it.
        total_bytes: Their size.
        digest: Root hash of the laptop's tree, hexadecimal.
        watching: The watcher's backend, and how many folders it watches.
        stopped: Why it is stopped; empty while it runs.
    """

    source: str
    to: str
    files: int
    total_bytes: int
    digest: str
    watching: str
    stopped: str = ""


class AppStatus(msgspec.Struct, frozen=True):
    """The app under supervision."""

    phase: str
    pid: int
    starts: int
    detail: str = ""


class ServiceStatus(msgspec.Struct, frozen=True):
    """One service.

    Attributes:
        name: Its name.
        state: `in sync`, `drifted`, `syncing`, `connecting`, `held`, `partial`, `stopped`, `paused`, `build failed`.
        targets: Its agents.
        syncs: Its syncs.
        app: Its app, where the agent runs one.
        held: Deletions that wait for approval.
        pending: Paths that are not acked yet.
        problems: Paths in trouble, cut at 200.
        problem_count: How many.
        saves: Batches acked since the start.
        save_p50_ms: Median from the first change to the ack, over the last 200 that were small.
        save_p95_ms: 95th percentile of the same.
        why: Why there is nobody to sync to, or why it has stopped; empty where neither is so.
    """

    name: str
    state: str
    targets: tuple[TargetStatus, ...]
    syncs: tuple[SyncStatus, ...]
    app: AppStatus | None
    held: int
    pending: int
    problems: tuple[events.ProblemRow, ...]
    problem_count: int
    saves: int
    save_p50_ms: float
    save_p95_ms: float
    why: str = ""


class ForwardStatus(msgspec.Struct, frozen=True):
    """One forwarded port, or proxy.

    Attributes:
        kind: `ports`, `forwards`, `reverse` or `proxy`; with `added` true where the command line asked for it.
        service: The service whose it is; empty for the project's.
        local: Where it is on the laptop: `localhost:8000`. For `reverse` what is dialled there.
        to: Where it leads: `pod port 8000`, `postgres:5432`.
        state: `listening`, `waiting` (no pod is there), `failed` (see the error), `already there`.
        by: What carried the last connection: `agent` or `port-forward`; empty before the first.
        target: The pod that it went to or through.
        open: Connections that are open.
        held: Of these, those that wait for a pod.
        total: Connections so far.
        sent_bytes: From the laptop.
        received_bytes: To the laptop.
        error: Why it does not listen, or why the last connection failed.
        code: That error's code.
        added: By the command line, not devloop.yaml.
    """

    kind: str
    service: str
    local: str
    to: str
    state: str
    by: str = ""
    target: str = ""
    open: int = 0
    held: int = 0
    total: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    error: str = ""
    code: str = ""
    added: bool = False


class ProjectStatus(msgspec.Struct, frozen=True):
    """A watching process."""

    project: str
    folder: str
    pid: int
    version: str
    started: float
    paused: bool
    services: tuple[ServiceStatus, ...]
    v: int = VERSION
    forwards: tuple[ForwardStatus, ...] = ()


class DiffRow(msgspec.Struct, frozen=True):
    """One path that differs between laptop and target.

    Attributes:
        service: The service.
        target: The agent.
        path: The path below the sync's `to`.
        to: The sync's `to`.
        what: `drift-changed`, `drift-missing`, `pending-put`, `pending-delete`, `held-delete`, `extra`, `problem`.
        detail: For people.
    """

    service: str
    target: str
    to: str
    path: str
    what: str
    detail: str = ""
