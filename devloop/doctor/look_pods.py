"""Looks at one service in the cluster: its workload, its pods, their agents, what is in the synced folders.

Reads objects, asks running agents for their hello, and runs harmless commands in the app's container: `id -u`,
`sh -c :`, `test -w` and `du`. Changes nothing. Whatever cannot be found out becomes an `Unknown` with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.config import injection, model
from devloop.daemon import podtarget, podtrouble
from devloop.doctor import facts, hello, look_cluster, look_webhook
from devloop.kube import client, execute, paths, pods, workloads
from devloop.podspec import inject, names, outcome, request

# How many pods are looked into; further ones are listed with their state only.
MOST: Final = 5

# How long a command in a container may take; `du` of a large folder takes seconds.
COMMAND_S: Final = 10.0

_MOST_BYTES: Final = 64 * 1024
# How container runtimes say that there is no such program (runc, crun).
_MISSING: Final = "no such file or directory"
_LACKS: Final = "the image has no"
# The image's name changes nothing in what is asked here: whether the pod can be injected at all.
_IMAGE: Final = "agent"

_POD: Final = model.Where.POD


async def look(
    api: client.Client, service: str, spec: model.Service, seen: facts.Server, *, sessions: bool = False
) -> facts.Workload:
    """Return the facts of a service.

    Args:
        api: The connection.
        service: Its name.
        spec: What devloop.yaml says of it.
        seen: Decides which kind of agent a pod would get.
        sessions: They are a way in, so what they need is looked at too.
    """
    whose = str(spec.workload) if spec.workload is not None else "the selector"
    try:
        async with asyncio.timeout(look_cluster.ASK_S):
            raw, wanted = await _wanted(api, spec)
            listed = await _listed(api, wanted)
    except errors.DevloopError as error:
        return facts.Workload(service=service, whose=whose, error=error)
    except TimeoutError:
        reason = facts.Unknown(f"no answer within {look_cluster.ASK_S:.0f} s")
        return facts.Workload(service=service, whose=whose, error=reason)
    pod_like = _template_of(raw, listed)
    template = template_of(pod_like, service, spec, seen) if pod_like is not None else None
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_pod(api, pods.view(each), spec, template if index < MOST else None, index < MOST))
            for index, each in enumerate(listed)
        ]
    found = tuple(task.result() for task in tasks)
    why = "" if found or spec.workload is None else await podtrouble.of_workload(api, api.namespace, spec.workload.name)
    whole = facts.Workload(service=service, whose=whose, template=template, pods=found, why=why)
    if raw is None or not sessions:
        return whole
    reference = workloads.parse(str(spec.workload))
    return msgspec.structs.replace(
        whole,
        budgets=await look_webhook.budgets(api, seen, listed),
        session=await look_webhook.session(api, reference, raw, listed),
    )


async def _wanted(api: client.Client, spec: model.Service) -> tuple[client.Object | None, workloads.Wanted]:
    if spec.workload is None:
        return None, workloads.of_labels(spec.selector or {})
    reference = workloads.parse(str(spec.workload))
    raw = await api.find(reference.path(api.namespace))
    return raw, workloads.of_workload(reference, raw)


async def _listed(api: client.Client, wanted: workloads.Wanted) -> list[client.Object]:
    query = {"labelSelector": wanted.label_selector, "fieldSelector": wanted.field_selector}
    found = await api.list(paths.of("v1", "pods", api.namespace), {key: text for key, text in query.items() if text})
    mine = []
    for raw in found.items:
        pod = pods.view(raw)
        if wanted.has(pod) and not pod.terminating and pod.phase not in {"Succeeded", "Failed"}:
            mine.append(raw)
    return mine


def _template_of(raw: client.Object | None, listed: list[client.Object]) -> client.Object | None:
    """Return a workload's pod template; a pod is its own, and stands for those of a selector."""
    if raw is None or raw.get("kind") == "Pod":
        raw = raw or (listed[0] if listed else None)
        return {"metadata": raw.get("metadata") or {}, "spec": raw.get("spec")} if raw is not None else None
    spec = raw.get("spec")
    found = spec.get("template") if isinstance(spec, dict) else None
    return found if isinstance(found, dict) else None


def template_of(pod: outcome.Tree, service: str, spec: model.Service, seen: facts.Server) -> facts.Template:
    """Return the facts of a pod template; of one that has the agent already, as of the one before it.

    Args:
        pod: The template.
        service: The service's name.
        spec: What devloop.yaml says of it.
        seen: The API server's version.
    """
    wanted = injection.request_of(service, spec)
    platform = request.Platform(_IMAGE, request.KubeVersion(seen.major, seen.minor))
    before = inject.uninject(pod).pod if inject.is_injected(pod) else pod
    refusals = inject.inject(before, wanted, platform).refusals
    containers = [each for each in _list(_map(before, "spec"), "containers") if not _is_agent(each)]
    known = tuple(str(each.get("name", "")) for each in containers)
    container = wanted.container or (known[0] if len(known) == 1 else "")
    meant = next((each for each in containers if each.get("name") == container), None)
    security = _map(meant, "securityContext") if meant is not None else {}
    return facts.Template(
        container=container if meant is not None else None,
        containers=known,
        user=_user(before, security, wanted),
        read_only=security.get("readOnlyRootFilesystem") is True,
        supervised=wanted.supervise,
        by_exec=_by_exec(spec),
        obstacles=tuple(facts.Obstacle(each.code, each.message, each.hint) for each in refusals),
    )


def _by_exec(spec: model.Service) -> tuple[str, ...]:
    """Return what is run by exec for want of the launcher that `reload: supervise` puts into a pod."""
    mode = spec.reload.mode
    if mode is model.Mode.SUPERVISE:
        return ()
    reload = (f"reload: {mode}",) if mode in {model.Mode.SIGNAL, model.Mode.COMMAND} else ()
    hooks = tuple(f"on_change: {each.name or ' '.join(each.run)}" for each in spec.on_change if each.where is _POD)
    return reload + hooks


def _user(pod: outcome.Tree, security: Mapping[str, Any], wanted: request.Service) -> int | None:
    """Return the app's user as `devloop.podspec` takes it: by the container, else the pod, else devloop.yaml."""
    whole = _map(_map(pod, "spec"), "securityContext")
    said = (security.get("runAsUser"), whole.get("runAsUser"), wanted.user)
    return next((each for each in said if isinstance(each, int)), None)


def _is_agent(container: Mapping[str, Any]) -> bool:
    return str(container.get("name", "")).startswith(names.AGENT)


async def _pod(
    api: client.Client, pod: pods.Pod, spec: model.Service, template: facts.Template | None, closely: bool
) -> facts.Pod:
    container = template.container if template is not None else None
    running = any(each.name == container and each.phase is pods.Phase.RUNNING for each in pod.containers)
    seen = facts.Pod(
        name=pod.name, state=pod.state, running=running, agent=str(pod.agent.phase), blocked=bool(pod.blocked)
    )
    if not closely:
        return msgspec.structs.replace(seen, hello=facts.Unknown("not looked into: there are many pods"))
    async with asyncio.TaskGroup() as group:
        why = group.create_task(podtrouble.of_pod(api, api.namespace, pod.name)) if pod.blocked else None
        said = group.create_task(_hello(api, pod)) if pod.is_usable else None
        inside = group.create_task(_inside(api, pod.name, container, spec)) if running and container else None
    if why is not None:
        seen = msgspec.structs.replace(seen, why=why.result())
    if said is not None:
        seen = msgspec.structs.replace(seen, hello=said.result())
    if inside is not None:
        uid, shell, places = inside.result()
        seen = msgspec.structs.replace(seen, uid=uid, shell=shell, places=places)
    return seen


async def _hello(api: client.Client, pod: pods.Pod) -> facts.Hello | errors.DevloopError | facts.Unknown:
    target = podtarget.PodTarget(api, api.namespace, pod)
    found = await look_cluster.asked(hello.ask(target))
    if isinstance(found, errors.AuthError):
        # An agent that started again between the reading of its key and the proof has another one.
        found = await look_cluster.asked(hello.ask(target))
    return found


async def _inside(
    api: client.Client, pod: str, container: str, spec: model.Service
) -> tuple[facts.Maybe[int], facts.Maybe[bool], tuple[facts.Place, ...]]:
    """Look at the synced folders from within the app's container, one command after the other."""
    where = execute.Where(api.namespace, pod, container)
    found = await _run(api, where, "id", "-u")
    uid = found if isinstance(found, facts.Unknown) else _number(found, "id -u")
    tried = await _run(api, where, "sh", "-c", ":")
    shell: facts.Maybe[bool] = tried.status == 0 if isinstance(tried, execute.Result) else tried
    if isinstance(tried, facts.Unknown) and tried.reason.startswith(_LACKS):
        shell = False
    return uid, shell, tuple([await _place(api, where, sync.to) for sync in spec.sync])


async def _place(api: client.Client, where: execute.Where, to: str) -> facts.Place:
    tested = await _run(api, where, "test", "-w", to)
    # What du cannot read it says, and counts the rest.
    counted = await _run(api, where, "du", "-sk", to)
    return facts.Place(
        to,
        tested if isinstance(tested, facts.Unknown) else tested.status == 0,
        counted if isinstance(counted, facts.Unknown) else _number(counted, f"du of {to}"),
    )


def _number(found: execute.Result, what: str) -> facts.Maybe[int]:
    words = found.stdout.split()
    if words and words[0].isdigit():
        return int(words[0])
    said = found.stderr.decode("utf-8", "replace").strip().splitlines()
    return facts.Unknown(f"{what}: {said[-1] if said else f'exit status {found.status}'}")


async def _run(api: client.Client, where: execute.Where, *argv: str) -> execute.Result | facts.Unknown:
    try:
        return await execute.run(api, where, argv, timeout_s=COMMAND_S, max_bytes=_MOST_BYTES)
    except errors.ExecError as error:
        if _MISSING in error.message or "executable file not found" in error.message:
            return facts.Unknown(f"{_LACKS} `{argv[0]}` to find it out with")
        return facts.Unknown(error.message)
    except errors.DevloopError as error:
        return facts.Unknown(error.message)


def _map(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = raw.get(key)
    return found if isinstance(found, Mapping) else {}


def _list(raw: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = raw.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
