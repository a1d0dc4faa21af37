"""Follows the pods of one service: a replica for each whose agent runs, or will.

The watch of the API server says which pods there are (`devloop.kube`); what follows from that for the service's
replicas is decided by `decide`, a function of what is there and what is had. A pod without an agent is named and left
alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from devloop import errors
from devloop.config import model
from devloop.daemon import podtarget, podtrouble, replica, rungs, workloadwatch
from devloop.kube import access, client, paths, pods, watch, workloads
from devloop.sync import events

# What a laptop must be allowed to do with pods, and from which Kubernetes 1.x on. A websocket for exec or port-forward
# needs `get`, and since 1.35 also `create`.
RIGHTS: Final = (
    ("list", "", 0),
    ("watch", "", 0),
    ("get", "exec", 0),
    ("create", "exec", 35),
    ("get", "portforward", 0),
    ("create", "portforward", 35),
)

# How often it is looked why there is nobody to sync to: what an event tells comes a moment after the state.
LOOK_S: Final = 2.0
# How long a watch that is to end by itself waits for a pod with an agent, such as one that a rollout is just making.
GIVE_UP_S: Final = 15.0

# Between a pod that is gone and its successor, or a pod and the agent that is attached to it: it is news that there is
# none only where that lasts.
GAP_S: Final = 1.0
# An app that crashes is told of once, and again only if it did not crash for so long.
CALM_S: Final = 60.0

CONTAINER_CODE: Final = "DL0802"
NOBODY_CODE: Final = "DL0760"
BLOCKED_CODE: Final = "DL0761"
CRASHING_CODE: Final = "DL0764"


class Owner(Protocol):
    """The service whose replicas these are."""

    def add_replica(self, target: replica.Target, *, vital: bool = False) -> None:
        """Sync to another agent."""

    async def remove_replica(self, name: str) -> None:
        """Forget an agent."""

    def set_pods(self, states: Mapping[str, str]) -> None:
        """Tell how each pod is, in words; one without a replica is not synced."""

    def set_trouble(self, why: str) -> None:
        """Tell why there is nobody to sync to; empty where there is somebody."""


class Change(msgspec.Struct, frozen=True):
    """What follows from the pods that there are.

    Attributes:
        gone: Names whose replicas end, also where a pod of the same name has come.
        fresh: Pods that get a replica.
        stragglers: Pods that get none, by name, and why.
        states: How each pod is, by name.
    """

    gone: tuple[str, ...] = ()
    fresh: tuple[pods.Pod, ...] = ()
    stragglers: Mapping[str, str] = {}
    states: Mapping[str, str] = {}


def decide(there: Iterable[pods.Pod], had: Mapping[str, str]) -> Change:
    """Return what is to be done.

    A pod that has an agent counts from the moment when it is there, so that nothing is said to be in sync before its
    agent runs and has everything.

    Args:
        there: The service's pods.
        had: The replicas that there are: the pod's uid by its name.
    """
    living = [pod for pod in there if not pod.terminating and pod.phase not in pods.OVER]
    wanted = {pod.name: pod for pod in living if pod.agent.phase is not pods.Phase.ABSENT}
    gone = tuple(name for name, uid in had.items() if name not in wanted or wanted[name].uid != uid)
    fresh = tuple(pod for name, pod in wanted.items() if name not in had or name in gone)
    states = {pod.name: pod.state for pod in living}
    return Change(gone, fresh, {name: state for name, state in states.items() if name not in wanted}, states)


class PodWatch:
    """Keeps one service's replicas in step with its pods.

    Args:
        spec: The service.
        cluster: Connects to the cluster, once for all services.
        owner: The service.
        publish: Where events go.
        rung: The way the agent gets in.
        once: It is to end by itself: what will not change without a person is an error, and not waited for.
    """

    def __init__(
        self,
        spec: model.Service,
        cluster: Callable[[], contextlib.AbstractAsyncContextManager[client.Client]],
        owner: Owner,
        publish: Callable[[events.Event], None],
        rung: rungs.Rung,
        *,
        once: bool = False,
    ) -> None:
        self._rung = rung
        self._raw: dict[str, Mapping[str, Any]] = {}
        self._spec = spec
        self._cluster = cluster
        self._owner = owner
        self._publish = publish
        self._pods: dict[str, pods.Pod] = {}
        self._targets: dict[str, podtarget.PodTarget] = {}
        self._once = once
        self._told = ""
        self._seen = asyncio.Event()
        self._busy = asyncio.Lock()
        self._had_some = False
        self._calm_since_s: dict[str, float] = {}

    def current(self) -> list[pods.Pod]:
        """Return the pods that there are now; none before the first look, and after the end."""
        return list(self._pods.values())

    async def run(self) -> None:
        """Follow the pods until cancelled.

        Raises:
            DevloopError: The workload or its container does not exist, or what is needed is not allowed; in a watch
                that is to end by itself also that there is nobody to sync to.
        """
        async with self._cluster() as api:
            namespace = api.namespace
            await _check_rights(api, namespace)
            wanted = await self._resolve(api, namespace)
            async with self._rung.held(api, namespace):
                try:
                    while True:
                        wanted = await self._watch_until_another(api, namespace, wanted)
                        which = wanted.label_selector or wanted.field_selector
                        message = f"{self._spec.workload} means other pods than before: {which}; they are followed now"
                        self._say(events.Notice(level=events.Level.WARNING, message=message))
                finally:
                    self._pods.clear()

    async def _watch_until_another(
        self, api: client.Client, namespace: str, wanted: workloads.Wanted
    ) -> workloads.Wanted:
        """Follow pods until the workload means others, and return those."""
        failed: errors.DevloopError | None = None
        another = wanted
        try:
            async with asyncio.TaskGroup() as group:
                following = group.create_task(self._watch(api, namespace, wanted))
                another = await workloadwatch.until_another(
                    api, namespace, wanted.reference, wanted, self._meant, lambda error: self._say(_notice(error))
                )
                # Not amid a change of the replicas: what is half done would stay so.
                async with self._busy:
                    following.cancel()
        except* errors.DevloopError as several:
            failed = errors.first(several)
        if failed is not None:
            raise failed
        return another

    async def _watch(self, api: client.Client, namespace: str, wanted: workloads.Wanted) -> None:
        query = {"labelSelector": wanted.label_selector, "fieldSelector": wanted.field_selector}
        seen = watch.Watch(api, paths.of("v1", "pods", namespace), {key: text for key, text in query.items() if text})
        failed: errors.DevloopError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(self._look(api, namespace))
                async with contextlib.aclosing(seen.events()) as stream:
                    async for event in stream:
                        if self._take(event, wanted):
                            await self._follow(api, namespace)
                            self._rung.look(self._raw.values())
                looking.cancel()
        except* errors.DevloopError as several:
            failed = errors.first(several)
        if failed is not None:
            raise failed

    async def _resolve(self, api: client.Client, namespace: str) -> workloads.Wanted:
        if self._spec.workload is None:
            return workloads.of_labels(self._spec.selector or {})
        return self._meant(await api.find(workloads.parse(str(self._spec.workload)).path(namespace)))

    def _meant(self, raw: client.Object) -> workloads.Wanted:
        """Return the pods that the service's workload means.

        Raises:
            ClusterError: It selects nothing, or its pods have no such container.
        """
        reference = workloads.parse(str(self._spec.workload))
        _check_container(raw, self._spec.container or "", str(reference))
        return workloads.of_workload(reference, raw)

    def _take(self, event: watch.Event, wanted: workloads.Wanted) -> bool:
        """Take up what the watch says; say whether the pods may be others now."""
        match event:
            case watch.Listed(items):
                found_by_uid = {pod.uid: (pod, raw) for raw in items if wanted.has(pod := pods.view(raw))}
                self._pods = {uid: pod for uid, (pod, _) in found_by_uid.items()}
                self._raw = {uid: raw for uid, (_, raw) in found_by_uid.items()}
            case watch.Changed(found):
                pod = pods.view(found)
                if wanted.has(pod):
                    self._pods[pod.uid] = pod
                    self._raw[pod.uid] = found
            case watch.Gone(found):
                self._pods.pop(pods.view(found).uid, None)
                self._raw.pop(pods.view(found).uid, None)
            case watch.Trouble(error, wait_s):
                self._say(
                    events.Notice(
                        level=events.Level.WARNING,
                        message=f"the pods cannot be followed: {error.message}",
                        hint=error.hint or f"tried again {f'in {wait_s:.0f} s' if wait_s >= 1 else 'at once'}",
                        code=error.error_code,
                    )
                )
                return False
        return True

    async def _follow(self, api: client.Client, namespace: str) -> None:
        async with self._busy:
            await self._adjust(api, namespace)
        self._tell_crashes(asyncio.get_running_loop().time())
        self._seen.set()

    async def _adjust(self, api: client.Client, namespace: str) -> None:
        for pod in self._pods.values():
            target = self._targets.get(pod.name)
            if target is not None and target.uid == pod.uid:
                target.update(pod)
        change = decide(self._pods.values(), {name: target.uid for name, target in self._targets.items()})
        for name in change.gone:
            del self._targets[name]
            await self._owner.remove_replica(name)
        for pod in change.fresh:
            target = self._targets[pod.name] = podtarget.PodTarget(api, namespace, pod, self._spec.container or "")
            self._owner.add_replica(target)
        self._owner.set_pods(change.states)

    def _tell_crashes(self, now_s: float) -> None:
        """Say which apps end again and again: between two ends they run, and that is no news."""
        known, self._calm_since_s = self._calm_since_s, {}
        for pod in self._pods.values():
            if pod.crashing is None:
                if pod.uid in known:
                    self._calm_since_s[pod.uid] = min(known[pod.uid], now_s)
                continue
            if now_s - known.get(pod.uid, -math.inf) > CALM_S:
                self._publish(_crash(pod, pod.crashing))
            self._calm_since_s[pod.uid] = math.inf

    async def _look(self, api: client.Client, namespace: str) -> None:
        """Say when there is nobody to sync to, and why: at once where that is news, and again when more is known.

        Raises:
            ClusterError: It is so, and the watch is to end by itself.
        """
        loop = asyncio.get_running_loop()
        await self._seen.wait()
        since_s = loop.time()
        while True:
            if self._may_pass:
                await asyncio.sleep(GAP_S)
            self._had_some = bool(self._pods)
            self._seen.clear()
            trouble, lasting = await self._trouble(api, namespace)
            self._owner.set_trouble(trouble.message if trouble is not None else "")
            if trouble is None:
                self._told, since_s = "", loop.time()
            elif self._once and (lasting or loop.time() - since_s > GIVE_UP_S):
                raise trouble
            else:
                self._say(_notice(trouble))
            with contextlib.suppress(TimeoutError):
                # Where all is well there is nothing to look at before something changes.
                async with asyncio.timeout(None if trouble is None else LOOK_S):
                    await self._seen.wait()

    @property
    def _may_pass(self) -> bool:
        """That there is nobody to sync to may be a matter of a moment."""
        if not self._pods:
            return self._had_some
        return not self._targets and not self._told

    async def _trouble(self, api: client.Client, namespace: str) -> tuple[errors.ClusterError | None, bool]:
        """Return why nobody can be synced to, None where somebody can; and whether only a person can change that."""
        change = decide(self._pods.values(), {name: target.uid for name, target in self._targets.items()})
        whose = str(self._spec.workload) if self._spec.workload is not None else "the selector"
        some = [target.pod for target in self._targets.values()]
        for pod in some:
            if pod.blocked:
                # One that was attached is followed by another where the rung has a better image.
                return await _blocked(api, namespace, pod), not pods.agent_number(pod.agent.name)
        for pod in some:
            if pod.is_stranded:
                hint = f"`kubectl describe pod {pod.name}` and `kubectl logs {pod.name} -c {pod.agent.name}` tell more"
                return errors.ClusterError(f"{pod.name}: {pod.state}", hint=hint, code=BLOCKED_CODE), False
        if some:
            return None, False
        if change.stragglers:
            first = ", ".join(f"{name} ({why})" for name, why in list(change.stragglers.items())[:3])
            hint = (
                "add it to the manifests with `devloop inject`, or let the watch bring it with --patch; "
                "`devloop doctor` tells what is in the way of the others"
            )
            return errors.ClusterError(f"no pod of {whose} has an agent: {first}", hint=hint, code=NOBODY_CODE), False
        leaving = [pod.name for pod in self._pods.values() if pod.terminating]
        if leaving:
            hint = "the one that comes after it is synced to as soon as its agent runs"
            message = f"{whose} has no pod now: {', '.join(leaving[:3])} is being deleted"
            return errors.ClusterError(message, hint=hint, code=NOBODY_CODE), False
        gone = await self._gone(api, namespace)
        if gone is not None:
            return gone, True
        name = str(self._spec.workload.name) if self._spec.workload is not None else ""
        why = await podtrouble.of_workload(api, namespace, name) if name else ""
        hint = "is it scaled to zero? `kubectl describe` it"
        if why:
            hint = "`kubectl describe quota` shows what uses a quota" if "quota" in why else "mend that, or ask for it"
        return errors.ClusterError(
            f"{whose} has no pods{f': {why}' if why else ''}", hint=hint, code=NOBODY_CODE
        ), False

    async def _gone(self, api: client.Client, namespace: str) -> errors.ClusterError | None:
        """Return the error for a workload that was deleted, or whose namespace was; None where it is there."""
        if self._spec.workload is None:
            return None
        path = workloads.parse(str(self._spec.workload)).path(namespace)
        try:
            async with asyncio.timeout(podtrouble.ASK_S):
                await api.find(path)
        except errors.NotThereError as error:
            hint = "devloop goes on as soon as it is there again"
            return errors.ClusterError(error.message, hint=hint, code=error.error_code)
        except (errors.ForbiddenError, errors.CredentialsError) as error:
            hint = "was the namespace deleted, or a right taken away? devloop goes on as soon as it may look again"
            return errors.ClusterError(error.message, hint=hint, code=error.error_code)
        except (errors.ClusterError, TimeoutError):
            return None
        return None

    def _say(self, notice: events.Notice) -> None:
        if notice.message != self._told:
            self._told = notice.message
            self._publish(notice)

    @property
    def serving(self) -> pods.Pod | None:
        """The pod that serves ports and exec; None where none can."""
        return pods.choose(self._pods.values())


def _crash(pod: pods.Pod, container: pods.Container) -> events.Notice:
    return events.Notice(
        level=events.Level.WARNING,
        message=f"the app in {pod.name} does not stay up: {container.name} {container.detail}",
        hint="a fix that you save is synced, and runs at the kubelet's next try; "
        f"see why with `kubectl logs {pod.name} -c {container.name} --previous`",
        code=CRASHING_CODE,
    )


def _notice(error: errors.ClusterError) -> events.Notice:
    return events.Notice(level=events.Level.WARNING, message=error.message, hint=error.hint, code=error.error_code)


async def _blocked(api: client.Client, namespace: str, pod: pods.Pod) -> errors.ClusterError:
    """Return the error of a pod whose agent cannot start, with the words of the event that says why."""
    why = await podtrouble.of_pod(api, namespace, pod.name)
    # The state of a container tells the whole reason only in the moment before it waits for the next try.
    told = "" if not why or why in pod.blocked or _tail(pod.blocked) in why else f" ({why})"
    hint = f"`kubectl describe pod {pod.name}` tells more"
    if "Image" in pod.blocked:
        hint = "check the image's name and tag, and whether the cluster may pull it (imagePullSecrets)"
        if pods.agent_number(pod.agent.name) and pod.blocked.startswith(pod.agent.name):
            hint = f"{hint}; another one is named by --agent-image or DEVLOOP_AGENT_IMAGE"
    return errors.ClusterError(f"{pod.name} does not start: {pod.blocked}{told}", hint=hint, code=BLOCKED_CODE)


def _tail(blocked: str) -> str:
    return blocked.rpartition("desc = ")[2]


def _check_container(raw: client.Object, wanted: str, whose: str) -> None:
    """Raise where the service names a container that its workload's pods do not have.

    Raises:
        NotThereError: With the names that there are.
    """
    spec = raw.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or spec
    known = [str(each.get("name")) for each in template.get("containers") or []]
    app = [name for name in known if not name.startswith(pods.AGENT)]
    if wanted and app and wanted not in app:
        near = difflib.get_close_matches(wanted, app, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(app)}"
        raise errors.NotThereError(f"the pods of {whose} have no container {wanted}", hint=hint, code=CONTAINER_CODE)


async def _check_rights(api: client.Client, namespace: str) -> None:
    """Raise for the first right that is missing, so that it is told as such and not as a link that does not open.

    Raises:
        ForbiddenError: With the verb, and how to see it.
    """
    version = await api.version()
    asked = [
        paths.Asked(verb, "pods", namespace=namespace, subresource=sub)
        for verb, sub, since in RIGHTS
        if version.at_least(1, since)
    ]
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(access.can(api, each)) for each in asked]
    for each, answer in zip(asked, answers, strict=True):
        if not answer.result().allowed:
            raise errors.ForbiddenError(
                f"you may not {each.verb} {each.kind()} in namespace {namespace}",
                hint=f"see it with `{each.can_i()}`; config/rbac has the Role that devloop needs",
            )
