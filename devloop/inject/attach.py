"""Rung 3: the agent as an ephemeral container of a pod that runs, without a restart of anything.

Pure: what it looks like, when it is added (again), and why some pods and some services cannot have one. The container
joins the app's process namespace, so the app's files are below `/proc/1/root` for a process of the same user, mounts
included. When the app's first process ends, the kernel ends all of that namespace, and the kubelet starts no ephemeral
container twice: another one is added. https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from devloop.inject import running
from devloop.kube import pods
from devloop.podspec import fitness, names, outcome, places, request

CODE: Final = "DL0786"

# pods/ephemeralcontainers is stable, and on everywhere, from here on.
SINCE: Final = request.KubeVersion(1, 25)

ROOT: Final = "/proc/1/root"

# Each is a line in the pod for good; a pod with more of them is better replaced.
MOST: Final = 50

# An agent that ends although its app goes on has a reason that does not pass by itself.
TRIES: Final = 3

# Volumes that are read-only wherever they are mounted.
_READ_ONLY_KINDS: Final = ("configMap", "secret", "downwardAPI", "projected")


class Subject(msgspec.Struct, frozen=True):
    """What is to be attached to.

    Attributes:
        pod: The pod, as the cluster sends it.
        container: The app's container.
        service: The service.
        version: The cluster's.
    """

    pod: Mapping[str, Any]
    container: str
    service: request.Service
    version: request.KubeVersion

    @property
    def spec(self) -> Mapping[str, Any]:
        """The pod's spec."""
        found: Mapping[str, Any] = self.pod.get("spec") or {}
        return found

    @property
    def app(self) -> Mapping[str, Any]:
        """The app's container in it."""
        return next((each for each in self.spec.get("containers") or [] if each.get("name") == self.container), {})


def container_of(pod: Mapping[str, Any], wanted: str) -> str | outcome.Refusal:
    """Return the name of the container that a service means, or why there is none.

    Args:
        pod: The pod.
        wanted: Its name; empty for the only one.
    """
    known = [str(each.get("name")) for each in (pod.get("spec") or {}).get("containers") or []]
    listed = ", ".join(known)
    if wanted in known or (not wanted and len(known) == 1):
        return wanted or known[0]
    if wanted:
        return outcome.Refusal("DL0802", f"there is no container {wanted}", f"the pod has {listed}")
    message = f"the pod has {len(known)} containers: {listed}"
    return outcome.Refusal("DL0802", message, "say which one is yours with container:")


def refusals(subject: Subject) -> Iterator[outcome.Refusal]:
    """Yield why no agent can be attached.

    Args:
        subject: What is to be attached to.
    """
    if subject.version < SINCE:
        version = f"{subject.version.major}.{subject.version.minor}"
        yield _refusal(f"this is Kubernetes {version}, and ephemeral containers are there from 1.25 on", _OTHER_RUNGS)
    # The kind of container does not matter to an ephemeral one, so the newest version's rules hold.
    yield from fitness.check(dict(subject.pod), request.Platform(""))
    yield from places.check_folders(subject.service)
    yield from _of_service(subject.service)
    yield from _of_processes(subject)
    for sync in subject.service.syncs:
        yield from _of_folder(subject, sync.to)


_OTHER_RUNGS: Final = "use `devloop inject`, or `devloop install --patch`"


def _refusal(message: str, hint: str = "") -> outcome.Refusal:
    return outcome.Refusal(CODE, message, hint)


def _of_service(service: request.Service) -> Iterator[outcome.Refusal]:
    """Yield what the service asks that only a new pod can have."""
    if service.supervise:
        yield _refusal(
            "reload: supervise puts the app's command under the launcher, and a container that runs keeps its command",
            f"{_OTHER_RUNGS}; or reload: signal, command or none",
        )
    asked = {
        "wait_first_sync": service.wait_first_sync,
        "env": service.env,
        "image": service.image,
        "persist": service.persist,
        "probes: drop": service.probes is request.Probes.DROP,
    }
    listed = ", ".join(name for name, value in asked.items() if value)
    if listed:
        yield _refusal(f"{listed} cannot be given to a container that runs already", f"remove that, or {_OTHER_RUNGS}")


def _of_processes(subject: Subject) -> Iterator[outcome.Refusal]:
    """Yield why the app's files cannot be reached through its first process."""
    spec = subject.spec
    if spec.get("shareProcessNamespace") or spec.get("hostPID"):
        what = "hostPID" if spec.get("hostPID") else "shareProcessNamespace"
        yield _refusal(f"with {what} the first process is not the app's, so its files are not found", _OTHER_RUNGS)
    if spec.get("hostUsers") is False:
        yield _refusal("with hostUsers: false one container may not look at another's processes", _OTHER_RUNGS)
    if (subject.app.get("securityContext") or {}).get("privileged"):
        yield _refusal("the app is privileged, and who is not may not look at its processes", _OTHER_RUNGS)


def _of_folder(subject: Subject, to: str) -> Iterator[outcome.Refusal]:
    """Yield why a folder cannot be written as the app's container has it."""
    mounted = [each for each in places.mounts(dict(subject.app)) if to == each.path or to.startswith(each.path + "/")]
    over = max(mounted, key=lambda each: len(each.path), default=None)
    if over is None:
        if (subject.app.get("securityContext") or {}).get("readOnlyRootFilesystem"):
            hint = f"mount a volume at {to}, or {_OTHER_RUNGS}"
            yield _refusal(f"the app's root is read-only, and {to} lies in it", hint)
        return
    name = over.mount["name"]
    volume: Mapping[str, Any] = next(
        (each for each in subject.spec.get("volumes") or [] if each.get("name") == name), {}
    )
    kind = next((kind for kind in _READ_ONLY_KINDS if kind in volume), "")
    if over.mount.get("readOnly") or kind:
        what = f"a {kind}" if kind else "mounted read-only"
        yield _refusal(f"{to} is in the volume {name}, which is {what}", "sync to another folder")


def container(subject: Subject, user: running.User, image: str, number: int) -> outcome.Tree:
    """Return the ephemeral container.

    Args:
        subject: What it is attached to.
        user: Who the app runs as.
        image: The agent's image.
        number: Counts the agents of this pod, from 1.
    """
    roots = []
    for sync in subject.service.syncs:
        data = ROOT + sync.to
        hidden = f"{data}/{names.HIDDEN}"
        roots.append(outcome.Root(sync.to, data, f"{hidden}/{names.STAGE}", f"{hidden}/{names.STATE}"))
    told = msgspec.json.encode(roots).decode()
    return {
        "name": f"{names.AGENT}-{number}",
        "image": image,
        "targetContainerName": subject.container,
        "command": ["python", "-m", "agent"],
        "args": ["serve", "--roots", told, "--state", names.ATTACHED_KEY_AT, "--port", str(names.PORT)],
        "securityContext": _security(subject, user),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _security(subject: Subject, user: running.User) -> outcome.Tree:
    own = subject.app.get("securityContext") or {}
    made: dict[str, Any] = {"runAsUser": user.uid}
    if user.gid is not None:
        made["runAsGroup"] = user.gid
    # Its key is in its own root: an ephemeral container cannot bring a volume along.
    made |= {"allowPrivilegeEscalation": False, "seccompProfile": {"type": "RuntimeDefault"}}
    if user.uid:
        made |= {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
    elif own.get("capabilities"):
        # Root has what its container has, and only who has no less may look at its files (ptrace(2), access mode
        # checking). A user that is not root has none.
        made["capabilities"] = own["capabilities"]
    if own.get("seLinuxOptions"):
        made["seLinuxOptions"] = own["seLinuxOptions"]
    return made


def was_attached(raw: Mapping[str, Any]) -> bool:
    """Say whether a pod was given an agent while it ran, whatever became of that one.

    Args:
        raw: The pod.
    """
    return _last(raw) > 0


# ---- when -------------------------------------------------------------------------------------------------------


class Act(enum.StrEnum):
    """What a pod needs now."""

    NOTHING = "nothing"
    """Its agent runs, or is about to, or the app does not."""
    ADD = "add"
    """An agent."""
    GIVE_UP = "give up"
    """A person: no agent stays in it."""


class History(msgspec.Struct, frozen=True):
    """What is remembered of a pod.

    Attributes:
        run: The run of the app's container that was attached to last.
        failures: How often an agent ended although that run went on.
        number: The agent that was added last, which the watch may not have shown yet.
    """

    run: str = ""
    failures: int = 0
    number: int = 0


class Step(msgspec.Struct, frozen=True):
    """What follows from how a pod is.

    Attributes:
        act: What it needs.
        history: What is to be remembered once that is done.
        number: The number of the agent to add.
        why: Why nothing more is tried.
    """

    act: Act
    history: History
    number: int = 0
    why: str = ""


def decide(raw: Mapping[str, Any], app: str, had: History, image: str = "") -> Step:
    """Return what a pod needs.

    Args:
        raw: The pod.
        app: The app's container.
        had: What is remembered of it.
        image: The image of the agent that would be added.
    """
    seen = pods.view(raw)
    run = next((each for each in seen.containers if each.name == app), None)
    here = seen.agent
    nothing = Step(Act.NOTHING, had)
    if seen.terminating or run is None or run.phase is not pods.Phase.RUNNING:
        return nothing
    if here.phase is pods.Phase.RUNNING or (here.phase is pods.Phase.WAITING and not _is_stuck(raw, seen, image)):
        return nothing
    number = _last(raw) + 1
    if number <= had.number:
        return nothing
    if number > MOST:
        return Step(Act.GIVE_UP, had, why=f"{MOST} agents were attached to it already")
    if here.phase is pods.Phase.ENDED and had.run == run.container_id:
        failures = had.failures + 1
        if failures >= TRIES:
            return Step(Act.GIVE_UP, had, why=here.detail or "it ended at once")
        return Step(Act.ADD, History(had.run, failures, had.number), number)
    return Step(Act.ADD, History(run.container_id, 0, had.number), number)


def _is_stuck(raw: Mapping[str, Any], seen: pods.Pod, image: str) -> bool:
    """Say whether a pod's attached agent waits for what never comes, and another image may do better.

    An ephemeral container cannot be changed, so one with a wrong image waits as long as its pod is there.
    """
    listed = (raw.get("spec") or {}).get("ephemeralContainers") or []
    others = [each for each in listed if each.get("name") == seen.agent.name and each.get("image") != image]
    return bool(image and others) and seen.blocked.startswith(f"{seen.agent.name}:")


def _last(raw: Mapping[str, Any]) -> int:
    """Return the highest number that an agent of a pod has."""
    listed = (raw.get("spec") or {}).get("ephemeralContainers") or []
    return max((pods.agent_number(str(each.get("name", ""))) for each in listed), default=0)
