"""What is looked at, as plain values: the checks need nothing else, and tests make them by hand.

What could not be found out is an `Unknown` with its reason, and what was refused is the `DevloopError` that says so.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import msgspec

from devloop import errors

T = TypeVar("T")


class Unknown(msgspec.Struct, frozen=True):
    """Something that could not be found out, and why."""

    reason: str


Maybe: TypeAlias = T | Unknown


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder on the laptop that is synced.

    Attributes:
        service: The service that it belongs to.
        label: What it is called in messages.
        error: Why it cannot be synced; None where it can.
        folders: How many folders of it are watched, which is one watch each.
        backend: How its changes are noticed: inotify, fsevents or polling.
        why: Why in this way, where that is not the usual one.
        repo: Why git knows nothing of it; empty where it does.
        repo_fix: What to do about that; empty where nothing need be done.
    """

    service: str
    label: str
    error: errors.DevloopError | None = None
    folders: Maybe[int] = 0
    backend: str = "inotify"
    why: str = ""
    repo: str = ""
    repo_fix: str = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The laptop.

    Attributes:
        python: Its version.
        system: The platform, as `sys.platform` has it.
        git: What `git --version` says.
        watches: How many inotify watches a user may have; 0 where the system does not tell.
        instances: Likewise, instances.
        folders: What is synced.
    """

    python: tuple[int, int, int]
    system: str
    git: Maybe[str]
    watches: int = 0
    instances: int = 0
    folders: tuple[Folder, ...] = ()


class Way(msgspec.Struct, frozen=True):
    """What the kubeconfig comes to."""

    context: str
    server: str
    namespace: str


class Server(msgspec.Struct, frozen=True):
    """An API server that answers.

    Attributes:
        major: Its version.
        minor: Likewise.
        text: As it writes it.
        skew_s: How far its clock is ahead, to the second; None where it does not tell.
    """

    major: int
    minor: int
    text: str
    skew_s: float | None = None


class Right(msgspec.Struct, frozen=True):
    """Something that the user must be allowed to do.

    Attributes:
        verb: Such as `create`.
        kind: Such as `pods/exec` or `deployments.apps`.
        can_i: The command line that asks the same.
        allowed: The API server's answer.
    """

    verb: str
    kind: str
    can_i: str
    allowed: Maybe[bool]


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The MutatingWebhookConfiguration of devloop's chart, as its text tells it.

    Attributes:
        name: Its name.
        service: The webhook's Service, as NAMESPACE/NAME.
        pods_policy: What becomes of a pod where the webhook is away: `Ignore`, as the chart has it, or `Fail`.
        sessions_policy: Likewise of a session; the chart has `Fail`.
        bundles: How many of its webhooks have an authority by which the API server can trust them.
        hooks: How many webhooks it has.
        ready: How many pods answer for the Service.
    """

    name: str
    service: str
    pods_policy: str
    sessions_policy: str
    bundles: int
    hooks: int
    ready: Maybe[int] = Unknown("not asked")


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """The admission webhook, as far as it could be seen.

    Attributes:
        author: Whom it made the author of a session that was only tried; empty where nobody looked at it.
        configuration: What is configured; None where nothing is.
    """

    author: Maybe[str] | errors.DevloopError
    configuration: Maybe[Configuration | None] = Unknown("not asked")


class Home(msgspec.Struct, frozen=True):
    """A namespace that may hold Applications, and what the user may do to those there.

    Attributes:
        namespace: Its name.
        is_argocds: It is Argo CD's own.
        reads: The rights that reading takes.
        patch: The right to change any of them, or the one that the project names.
    """

    namespace: str
    is_argocds: bool
    reads: tuple[Right, ...]
    patch: Right


class Argocd(msgspec.Struct, frozen=True, kw_only=True):
    """Argo CD, as the cluster's API server knows it.

    Attributes:
        there: The cluster knows Applications.
        asked: The project says something of Argo CD.
        server: The server whose API is used instead of the Kubernetes one; empty where none is named.
        homes: Where Applications may be.
    """

    there: Maybe[bool]
    asked: bool = False
    server: str = ""
    homes: tuple[Home, ...] = ()


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster, as far as it could be seen.

    Attributes:
        way: What the kubeconfig says, or why it cannot be used.
        server: The API server, or why it does not answer; what follows is empty then.
        namespace_labels: The namespace's labels, or why they cannot be read.
        chart: Whether the custom resource DevSession is there, which Ops install with the chart.
        webhook: What answers for sessions; None where it is not there, or not for this user.
        base: The rights that every rung needs.
        rungs: The rights that a rung needs besides, by its name.
        argocd: Argo CD; None where it was not looked for.
    """

    way: Way | errors.DevloopError
    server: Server | errors.DevloopError | Unknown = Unknown("not asked")
    namespace_labels: Maybe[dict[str, str]] | errors.DevloopError = Unknown("not asked")
    chart: Maybe[bool] = Unknown("not asked")
    webhook: Webhook | None = None
    base: tuple[Right, ...] = ()
    rungs: dict[str, tuple[Right, ...]] = {}
    argocd: Argocd | None = None


class Root(msgspec.Struct, frozen=True):
    """One synced folder as a running agent sees it; `trouble` is why it cannot be written."""

    to: str
    trouble: str = ""
    managed: int = 0


class Hello(msgspec.Struct, frozen=True):
    """What a running agent says of itself.

    Attributes:
        version: devloop's version there.
        uid: Its user.
        roots: Its folders.
        holder: Who syncs to it right now; empty for nobody.
    """

    version: str
    uid: int
    roots: tuple[Root, ...]
    holder: str = ""


class Place(msgspec.Struct, frozen=True):
    """A synced folder as a command in the app's container sees it.

    Attributes:
        to: The folder.
        writable: The app's user may write it.
        kib: What is in it, in KiB; a seed copies that much.
    """

    to: str
    writable: Maybe[bool] = Unknown("not tried")
    kib: Maybe[int] = Unknown("not tried")


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """One pod of a service.

    Attributes:
        name: Its name.
        state: How it is, in words.
        running: The app's container runs.
        agent: How far its agent is: absent, waiting, running or ended.
        blocked: It cannot start before somebody mends what is in the way.
        why: The event that tells the reason; empty where none does.
        hello: What the agent says, or why it could not be asked; None where there is none that runs.
        uid: The app's user, as a command in its container has it.
        shell: The app's image has one.
        places: Its synced folders; empty where no command was run.
    """

    name: str
    state: str
    running: bool = True
    agent: str = "absent"
    blocked: bool = False
    why: str = ""
    hello: Hello | errors.DevloopError | Unknown | None = None
    uid: Maybe[int] = Unknown("not tried")
    shell: Maybe[bool] = Unknown("the app does not run")
    places: tuple[Place, ...] = ()


class Obstacle(msgspec.Struct, frozen=True):
    """Why the agent cannot be put into a pod as asked; see `devloop.podspec.outcome.Refusal`."""

    code: str
    message: str
    fix: str = ""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A workload's pod template.

    Attributes:
        container: The container that is meant; None where that is not clear.
        containers: The app's containers.
        user: The app's user, as the template or devloop.yaml say; None where nobody does.
        read_only: The container's root cannot be written.
        supervised: The service asks for `reload: supervise`.
        by_exec: What the service wants to be run in the app's container, where no launcher does it.
        obstacles: Why the agent cannot be put into it.
    """

    container: str | None
    containers: tuple[str, ...]
    user: int | None = None
    read_only: bool = False
    supervised: bool = False
    by_exec: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()


class Budget(msgspec.Struct, frozen=True):
    """A PodDisruptionBudget.

    Attributes:
        name: Its name.
        allowed: How many pods may be evicted now.
        needs: How many have to be healthy.
        healthy: How many are.
    """

    name: str
    allowed: int
    needs: int = 0
    healthy: int = 0


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the pods that were made while there is a DevSession for their workload.

    Attributes:
        name: The session's.
        owner: Whose it is, for people.
        injected: Pods that it brought the agent into.
        passed: Pods that the webhook let through without, each with the reason.
        stray: Pods that were made after it and that the webhook never saw.
        tried: What a further pod would come with: empty for the agent, else why it would not.
    """

    name: str
    owner: str
    injected: tuple[str, ...] = ()
    passed: dict[str, str] = {}
    stray: tuple[str, ...] = ()
    tried: Maybe[str] = Unknown("not tried")


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A service in the cluster.

    Attributes:
        service: Its name in devloop.yaml.
        whose: The workload or the selector, in words.
        error: Why it could not be looked at; None where it could.
        template: Its pod template; None where a selector without pods has none.
        pods: Its pods.
        why: The event that tells why there are none; empty where none does.
        budgets: The budgets that hold for its pods, which have to be evicted for a session.
        session: The session for it; None where there is none.
    """

    service: str
    whose: str
    error: errors.DevloopError | Unknown | None = None
    template: Template | None = None
    pods: tuple[Pod, ...] = ()
    why: str = ""
    budgets: Maybe[tuple[Budget, ...]] = ()
    session: Maybe[Session | None] = None


class Local(msgspec.Struct, frozen=True):
    """A target on this machine.

    Attributes:
        service: Its name in devloop.yaml.
        folder: The target.
        exists: It is there.
        writable: It can be written, or made.
        foreign: It has something in it, and not devloop's marker.
    """

    service: str
    folder: str
    exists: bool
    writable: bool
    foreign: bool = False
