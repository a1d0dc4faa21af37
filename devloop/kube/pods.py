"""What devloop sees in a pod: a frozen view of the raw object, and which of several pods is which.

Pure functions of what the API server says. `devloop.kube.watch` brings the raw objects, `devloop.daemon` decides by
these views to which pods it opens links and which of them serves ports and exec.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors

# The agent's container; on the rung that attaches to a running pod there may be several, each with a suffix.
AGENT: Final = "devloop-agent"

# Labels that controllers put on the pods of one version of a workload, the first that is there counts.
_REVISIONS: Final = ("pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash")

# The phases of a pod that has ended.
OVER: Final = frozenset({"Succeeded", "Failed"})

# What a container waits for without end, until somebody changes the pod or the cluster (kubernetes:
# pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go).
_STUCK: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)
# An init container that fails again and again; an app that does is synced to, because a fix may be pushed into it.
_CRASHING: Final = "CrashLoopBackOff"
_STUCK_AT_START: Final = _STUCK | {_CRASHING}
# Where a pod declares containers, and where it tells how they are.
_PLACES: Final = (
    ("initContainers", "initContainerStatuses"),
    ("containers", "containerStatuses"),
    ("ephemeralContainers", "ephemeralContainerStatuses"),
)
# How much of a container's last words is told.
_WORDS: Final = 300
_NOWHERE: Final = "Unschedulable"
_INIT: Final = "init container"


class Phase(enum.StrEnum):
    """How far a container is."""

    ABSENT = "absent"
    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class Container(msgspec.Struct, frozen=True):
    """One container of a pod.

    Attributes:
        name: Its name.
        phase: How far it is.
        detail: Why it is not running: a reason of the kubelet, and what it adds.
        container_id: Identifies this very run of it; empty before the first.
        restarts: How often it was started again.
        ready: It passes its readiness probe.
    """

    name: str
    phase: Phase
    detail: str = ""
    container_id: str = ""
    restarts: int = 0
    ready: bool = False


class Owner(msgspec.Struct, frozen=True):
    """The controller of a pod."""

    kind: str
    name: str


class Pod(msgspec.Struct, frozen=True):
    """One pod.

    Attributes:
        name: Its name.
        uid: Its identity: a pod of a StatefulSet that is replaced keeps its name.
        created: When it was created, as the server writes it (RFC 3339, UTC, so that text order is time order).
        revision: Which version of its workload it is; empty where nobody says.
        owner: Its controller, if it has one.
        phase: The pod's own word: Pending, Running, Succeeded, Failed, Unknown.
        detail: Why it is not running, as far as it knows.
        ready: It takes part in its Services.
        terminating: It is being deleted.
        agent: The agent's container.
        containers: The app's containers, in their order.
        blocked: Why its agent cannot start before somebody mends it: a container, the kubelet's reason, and what it
            adds; empty where nothing is known to be in its way.
    """

    name: str
    uid: str
    created: str
    revision: str
    owner: Owner | None
    phase: str
    detail: str
    ready: bool
    terminating: bool
    agent: Container
    containers: tuple[Container, ...]
    blocked: str = ""

    @property
    def is_usable(self) -> bool:
        """A link to its agent can be opened: whether the app is ready does not matter."""
        return self.agent.phase is Phase.RUNNING and not self.terminating

    @property
    def is_stranded(self) -> bool:
        """Its agent does not run, and may or may not do so by itself: no node takes the pod, or the agent crashes."""
        if self.is_usable or self.agent.phase is Phase.ABSENT:
            return False
        # Current kubelets call it a crash loop only in the last moments before the next try.
        again = self.agent.phase is Phase.ENDED and self.agent.restarts > 0
        return again or self.detail.startswith(_NOWHERE) or self.agent.detail.startswith(_CRASHING)

    @property
    def crashing(self) -> Container | None:
        """The app's container that ends again and again, if one does."""
        return next((each for each in self.containers if each.detail.startswith(_CRASHING)), None)

    @property
    def state(self) -> str:
        """What to tell people of it, in a few words."""
        if self.terminating:
            return "terminating"
        if self.agent.phase is not Phase.RUNNING:
            return self._without_agent()
        crashed = next((each for each in self.containers if each.phase is not Phase.RUNNING), None)
        if crashed is not None:
            return f"{crashed.name} {crashed.detail or crashed.phase}"
        return "ready" if self.ready else "not ready"

    def _without_agent(self) -> str:
        nowhere = self.detail if self.detail.startswith(_NOWHERE) else ""
        # What the agent's own state tells already, and what an init container said last, is told by its detail.
        told = self.blocked.startswith(f"{self.agent.name}:") or self.agent.detail.startswith(_INIT)
        other = nowhere if told else self.blocked or nowhere
        if self.agent.phase is Phase.WAITING and other:
            return f"the agent waits: {other}"
        return _agent_state(self.agent)


def view(raw: Mapping[str, Any]) -> Pod:
    """Return what devloop sees in a pod.

    Args:
        raw: The object as the API server sends it; what is missing in it counts as not known.
    """
    meta, spec, status = _map(raw, "metadata"), _map(raw, "spec"), _map(raw, "status")
    labels = _map(meta, "labels")
    phase = str(status.get("phase", "Unknown"))
    agent = _agent(spec, status)
    return Pod(
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        created=str(meta.get("creationTimestamp", "")),
        revision=next((str(labels[name]) for name in _REVISIONS if name in labels), ""),
        owner=_owner(meta),
        phase=phase,
        detail=_detail(status) if phase != "Running" else "",
        ready=_condition(status, "Ready"),
        terminating="deletionTimestamp" in meta,
        agent=agent,
        containers=tuple(
            container(str(each.get("name", "")), _list(status, "containerStatuses"))
            for each in _list(spec, "containers")
            if not _is_agent(each)
        ),
        blocked=_blocked(status, agent),
    )


def agent_number(name: str) -> int:
    """Return which of a pod's attached agents a container is, from 1; 0 for one that came with the pod, and any other.

    Args:
        name: The container's name.
    """
    before, _, text = name.rpartition("-")
    return int(text) if before == AGENT and text.isascii() and text.isdecimal() else 0


def every_container(raw: Mapping[str, Any]) -> dict[str, Container]:
    """Return all containers of a pod by name, in the order in which they start: init, app's, ephemeral ones.

    Args:
        raw: As for `view`.
    """
    spec, status = _map(raw, "spec"), _map(raw, "status")
    return {
        str(each.get("name", "")): container(str(each.get("name", "")), _list(status, statuses))
        for declared, statuses in _PLACES
        for each in _list(spec, declared)
    }


def choose(some: Iterable[Pod]) -> Pod | None:
    """Return the pod that serves ports and exec: the newest ready one with an agent, else the newest with one."""
    usable = [pod for pod in some if pod.is_usable]
    return max(usable, key=lambda pod: (pod.ready, pod.created, pod.name), default=None)


def serving(some: Iterable[Pod]) -> Pod | None:
    """Return the pod that ports lead to, agent or not: the newest that is ready, else the newest that runs."""
    running = [pod for pod in some if pod.phase == "Running" and not pod.terminating]
    return max(running, key=lambda pod: (pod.ready, pod.created, pod.name), default=None)


def choose_for(some: Iterable[Pod], container: str) -> Pod | None:
    """Return the pod that a command is run in: as `choose` has it, after whether the command's container runs.

    It needs no agent for that.

    Args:
        some: The service's pods.
        container: The container; empty for the app's.
    """
    living = [pod for pod in some if not pod.terminating and pod.phase not in OVER]

    def rank(pod: Pod) -> tuple[bool, bool, bool, str, str]:
        there = [pod.agent] if _is_agent_name(container) else pod.containers
        runs = any(each.phase is Phase.RUNNING for each in there if container in {"", each.name})
        return (runs, pod.is_usable, pod.ready, pod.created, pod.name)

    return max(living, key=rank, default=None)


def app_of(pod: Pod, wanted: str) -> str:
    """Return the name of the app's container.

    Args:
        pod: The pod.
        wanted: As the service has it; empty for the only one.

    Raises:
        UsageError: Nobody says which it is, or there is none of this name.
    """
    names = [each.name for each in pod.containers]
    if wanted in names or (not wanted and len(names) == 1):
        return wanted or names[0]
    listed = ", ".join(names)
    message = (
        f"{pod.name} has no container {wanted}" if wanted else f"which container of {pod.name} is the app's: {listed}?"
    )
    raise errors.UsageError(message, hint=f"it has {listed}: add `container: NAME` to the service", code="DL0802")


def is_stuck(container: Container) -> bool:
    """Say whether a container does not start before somebody changes the pod or the cluster."""
    return container.phase is Phase.WAITING and container.detail.split(":")[0] in _STUCK_AT_START


def _agent(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Container:
    """Return the agent's container: of several attached ones, one that runs, else the newest."""
    found = [
        container(str(each["name"]), _list(status, statuses))
        for declared, statuses in _PLACES
        for each in _list(spec, declared)
        if _is_agent(each)
    ]
    # The order of the pod's list says nothing: a strategic merge patch puts what it adds before what is there.
    found.sort(key=lambda each: agent_number(each.name))
    running = [each for each in found if each.phase is Phase.RUNNING]
    agent = (running or found or [Container(AGENT, Phase.ABSENT)])[-1]
    stuck = _stuck(status) if agent.phase is Phase.WAITING else ""
    return msgspec.structs.replace(agent, detail=stuck) if stuck else agent


def _stuck(status: Mapping[str, Any]) -> str:
    """Return which init container fails, and what it said last; empty where none does."""
    for each in _list(status, "initContainerStatuses"):
        ended = _map(_map(each, "state"), "terminated") or _map(_map(each, "lastState"), "terminated")
        if not each.get("ready") and ended.get("exitCode"):
            said = str(ended.get("message") or "").strip()
            return _joined(f"{_INIT} {each.get('name')}", said or ended.get("reason"), _exit(ended))
    return ""


def _blocked(status: Mapping[str, Any], agent: Container) -> str:
    """Return why the agent cannot start: the app's own container counts only where it is before the agent."""
    for each in _list(status, "ephemeralContainerStatuses"):
        # Of several that were attached only the one that counts: those before it stay as they are for good.
        if each.get("name") == agent.name and str(_map(_map(each, "state"), "waiting").get("reason")) in _STUCK:
            return f"{agent.name}: {_waiting(each)}"
    for kind in ("initContainerStatuses", "containerStatuses"):
        for each in _list(status, kind):
            told = _map(_map(each, "state"), "waiting")
            before = kind == "initContainerStatuses" and not _is_agent(each)
            if str(told.get("reason")) in (_STUCK_AT_START if before else _STUCK) and (before or _is_agent(each)):
                return f"{each.get('name')}: {_waiting(each)}"
    return ""


def _is_agent(container: Mapping[str, Any]) -> bool:
    return _is_agent_name(str(container.get("name", "")))


def _is_agent_name(name: str) -> bool:
    return name == AGENT or name.startswith(AGENT + "-")


def _agent_state(agent: Container) -> str:
    match agent.phase:
        case Phase.ABSENT:
            return "no agent in it"
        case Phase.WAITING:
            return f"the agent waits: {agent.detail or 'not started yet'}"
        case _:
            return f"the agent ended: {agent.detail}" if agent.detail else "the agent ended"


def container(name: str, statuses: Sequence[Mapping[str, Any]]) -> Container:
    """Return one container as its pod's statuses tell of it; one that waits where they do not."""
    status = next((each for each in statuses if each.get("name") == name), {})
    state = _map(status, "state")
    detail = ""
    if "running" in state:
        phase = Phase.RUNNING
    elif "terminated" in state:
        phase, detail = Phase.ENDED, _ended(_map(state, "terminated"))
    else:
        phase, detail = Phase.WAITING, _waiting(status)
    return Container(
        name=name,
        phase=phase,
        detail=detail,
        container_id=str(status.get("containerID", "")),
        restarts=int(status.get("restartCount", 0)),
        ready=bool(status.get("ready", False)),
    )


def _waiting(status: Mapping[str, Any]) -> str:
    """Return why a container waits; one that ended before, by how that was, and not by how long it waits now."""
    told = _map(_map(status, "state"), "waiting")
    last = _map(_map(status, "lastState"), "terminated")
    if told.get("reason") == _CRASHING and last:
        return _joined(_CRASHING, _exit(last), _last_words(last))
    return _joined(told.get("reason"), told.get("message"), _exit(last))


def _ended(told: Mapping[str, Any]) -> str:
    return _joined(told.get("reason"), _last_words(told), _exit(told))


def _exit(told: Mapping[str, Any]) -> str:
    code = told.get("exitCode")
    return f"exit {code}" if code else ""


def _last_words(told: Mapping[str, Any]) -> str:
    """Return what a container said of its end: of the end of its log, the line that tells an error, else the last."""
    lines = [" ".join(line.split()) for line in str(told.get("message") or "").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("error[", "error:"))]
    return (telling or lines or [""])[-1][:_WORDS]


def _detail(status: Mapping[str, Any]) -> str:
    """Return why a pod does not run: its own reason, or the first condition that is not met, with its message."""
    own = _joined(status.get("reason"), status.get("message"))
    if own:
        return own
    for condition in _list(status, "conditions"):
        if condition.get("status") == "False" and condition.get("message"):
            return _joined(condition.get("reason"), condition.get("message"))
    return ""


def _joined(*parts: object) -> str:
    return ": ".join(str(part) for part in parts if part)


def _condition(status: Mapping[str, Any], name: str) -> bool:
    return any(each.get("type") == name and each.get("status") == "True" for each in _list(status, "conditions"))


def _owner(meta: Mapping[str, Any]) -> Owner | None:
    for reference in _list(meta, "ownerReferences"):
        if reference.get("controller"):
            return Owner(str(reference.get("kind", "")), str(reference.get("name", "")))
    return None


def _map(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = raw.get(key)
    return found if isinstance(found, Mapping) else {}


def _list(raw: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    found = raw.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
