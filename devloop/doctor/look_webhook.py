"""Looks at what sessions need: does the webhook answer, what became of pods, which budgets keep pods from eviction.

Whether the webhook answers is found out by making a session and a pod that are only tried (`dryRun=All`): the API
server then calls the webhook as it would in earnest, and stores nothing. So its certificate, its endpoints and its
answer are judged from where they matter, and nobody needs rights in Ops' namespace for that.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.doctor import facts, look_cluster
from devloop.inject import admission
from devloop.kube import client, paths, pods, workloads
from devloop.podspec import devsession, inject

_CONFIGURATIONS: Final = ("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations")
_PODS_HOOK: Final = "pods.devloop.dev"
_SESSIONS_HOOK: Final = "sessions.devloop.dev"
_DRY: Final = {"dryRun": "All"}
# PodDisruptionBudgets of policy/v1 are there from 1.21 on, and v1beta1 was removed in 1.25.
_POLICY_V1_SINCE: Final = (1, 21)
_BROKEN: Final = "failed calling webhook"
# How the API server words a failed call (k8s.io/apiserver, admission/plugin/webhook/errors).
_CALL: Final = re.compile(r'failed calling webhook "[^"]*": (?:failed to call webhook: )?(?P<why>.*)', re.DOTALL)
_DENIED: Final = "denied the request"

_UNSEEN: Final = "nobody looked at it"


async def look(api: client.Client) -> facts.Webhook:
    """Return how the webhook is, for a namespace in which this user may make sessions."""
    author = await look_cluster.asked(_author(api))
    configuration = await look_cluster.asked(_configuration(api))
    if isinstance(configuration, errors.DevloopError):
        configuration = look_cluster.reason(configuration)
    return facts.Webhook(author=author, configuration=configuration)


async def _author(api: client.Client) -> str:
    """Try to make a session, and return whom the webhook would have made its author."""
    spec = devsession.Spec(
        workload=devsession.Workload("Deployment", "devloop-doctor"),
        service="doctor",
        syncs=(devsession.Sync("/devloop-doctor"),),
        owner="devloop doctor",
    )
    made = devsession.made(f"devloop-doctor-{secrets.token_hex(4)}", api.namespace, spec)
    path = paths.of(devsession.API, devsession.PLURAL, api.namespace)
    try:
        return devsession.read(await api.create(path, made, _DRY)).spec.author.name
    except errors.UnreachableError as error:
        if _BROKEN not in error.words:
            raise
        raise _broken(error) from None
    except ValueError as error:
        raise errors.ClusterError(f"the cluster's DevSession is another one than this devloop's: {error}") from None


def _broken(error: errors.UnreachableError) -> errors.ClusterError:
    found = _CALL.search(error.words)
    why = found["why"] if found else error.words
    hint = "whoever runs the cluster: kubectl get pods -A -l app.kubernetes.io/name=devloop-admission"
    if "x509" in why or "certificate" in why:
        hint = (
            "the authority in the configuration (caBundle) is not that of the certificate which the webhook serves. It "
            "writes it again within a minute; a GitOps tool must ignore /webhooks/*/clientConfig/caBundle"
        )
    elif "not found" in why or "no endpoints" in why or "refused" in why:
        hint = f"no pod of the webhook answers; {hint}"
    return errors.ClusterError(f"the API server cannot call the webhook: {why}", hint=hint, code="DL0821")


async def _configuration(api: client.Client) -> facts.Configuration | None:
    listed = await api.list(paths.of(*_CONFIGURATIONS))
    for raw in listed.items:
        hooks = {str(each.get("name")): each for each in raw.get("webhooks") or []}
        if _PODS_HOOK in hooks and _concerns(hooks[_PODS_HOOK]):
            return await _with_endpoints(api, configuration(raw))
    return None


def _concerns(hook: Mapping[str, Any]) -> bool:
    return isinstance((hook.get("clientConfig") or {}).get("service"), dict)


def configuration(raw: Mapping[str, Any]) -> facts.Configuration:
    """Return what a configuration of the chart's says.

    Args:
        raw: The object; it has a webhook for pods.
    """
    hooks = {str(each.get("name")): each for each in raw.get("webhooks") or []}
    service = hooks[_PODS_HOOK]["clientConfig"]["service"]
    return facts.Configuration(
        name=str((raw.get("metadata") or {}).get("name", "")),
        service=f"{service.get('namespace')}/{service.get('name')}",
        pods_policy=str(hooks[_PODS_HOOK].get("failurePolicy", "Fail")),
        sessions_policy=str(hooks.get(_SESSIONS_HOOK, {}).get("failurePolicy", "missing")),
        bundles=sum(bool((each.get("clientConfig") or {}).get("caBundle")) for each in hooks.values()),
        hooks=len(hooks),
    )


async def _with_endpoints(api: client.Client, found: facts.Configuration) -> facts.Configuration:
    namespace, _, name = found.service.partition("/")
    raw = await look_cluster.asked(api.get(paths.of("v1", "endpoints", namespace, name)))
    ready: facts.Maybe[int]
    if isinstance(raw, errors.NotThereError):
        ready = 0
    elif isinstance(raw, errors.DevloopError | facts.Unknown):
        ready = look_cluster.reason(raw)
    else:
        ready = sum(len(each.get("addresses") or []) for each in raw.get("subsets") or [])
    return msgspec.structs.replace(found, ready=ready)


async def session(
    api: client.Client, reference: workloads.Reference, raw: Mapping[str, Any], there: Sequence[Mapping[str, Any]]
) -> facts.Maybe[facts.Session | None]:
    """Return what became of a workload's pods for its session, or None where it has none.

    Args:
        api: The connection.
        reference: The workload.
        raw: The object.
        there: Its pods, as the API server sends them.
    """
    if reference.kind.name not in devsession.KINDS:
        return None
    name = devsession.name_of(devsession.Workload(reference.kind.name, reference.name))
    found = await look_cluster.asked(api.get(paths.of(devsession.API, devsession.PLURAL, api.namespace, name)))
    if isinstance(found, errors.NotThereError):
        return None
    if isinstance(found, errors.DevloopError | facts.Unknown):
        return look_cluster.reason(found)
    try:
        held = devsession.read(found)
    except ValueError as error:
        return facts.Unknown(f"the session {name} cannot be read: {error}")
    seen = admission.survey(there, workloads.of_workload(reference, raw), held)
    return facts.Session(
        name=name,
        owner=held.spec.owner,
        injected=seen.ready,
        passed=dict(seen.passed),
        stray=tuple(each.name for each in seen.stray),
        tried=await _tried(api, reference, raw),
    )


async def _tried(api: client.Client, reference: workloads.Reference, raw: Mapping[str, Any]) -> facts.Maybe[str]:
    """Try to make a pod as the workload's controller would, and return why it would come without an agent."""
    done = await look_cluster.asked(api.create(paths.of("v1", "pods", api.namespace), pod_like(reference, raw), _DRY))
    if isinstance(done, errors.DevloopError | facts.Unknown):
        return look_cluster.reason(done)
    annotations = (done.get("metadata") or {}).get("annotations") or {}
    if pods.view(done).agent.phase is not pods.Phase.ABSENT:
        return ""
    return str(annotations.get(devsession.NOT_INJECTED) or _UNSEEN)


def pod_like(reference: workloads.Reference, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pod as a workload's controller makes it, under a name that nothing else has.

    Args:
        reference: The workload.
        raw: The object.
    """
    template = inject.uninject(dict((raw.get("spec") or {}).get("template") or {})).pod
    meta = template.get("metadata") or {}
    mark = f"doctor{secrets.token_hex(3)}"
    kind, name = reference.kind.name, reference.name
    labels = dict(meta.get("labels") or {})
    if reference.kind.through:
        kind, name = reference.kind.through, f"{reference.name}-{mark}"
        labels["pod-template-hash"] = mark
    version = reference.kind.version if not reference.kind.through else "apps/v1"
    owner = {"apiVersion": version, "kind": kind, "name": name, "uid": "devloop-doctor", "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{reference.name[:40].rstrip('-.')}-{mark}",
            "labels": labels,
            "annotations": dict(meta.get("annotations") or {}),
            "ownerReferences": [owner],
        },
        "spec": template.get("spec") or {},
    }


async def budgets(
    api: client.Client, seen: facts.Server, there: Sequence[Mapping[str, Any]]
) -> facts.Maybe[tuple[facts.Budget, ...]]:
    """Return the PodDisruptionBudgets that hold for pods.

    Args:
        api: The connection.
        seen: The API server's version.
        there: The pods.
    """
    v1 = (seen.major, seen.minor) >= _POLICY_V1_SINCE
    path = paths.of("policy/v1" if v1 else "policy/v1beta1", "poddisruptionbudgets", api.namespace)
    found = await look_cluster.asked(api.list(path))
    if isinstance(found, errors.DevloopError | facts.Unknown):
        return look_cluster.reason(found)
    return tuple(_budget(raw) for raw in found.items if any(_holds(raw, pod, v1=v1) for pod in there))


def _holds(raw: Mapping[str, Any], pod: Mapping[str, Any], *, v1: bool) -> bool:
    selector = (raw.get("spec") or {}).get("selector")
    if selector == {}:
        # An empty selector is for all pods in policy/v1, and was for none before.
        return v1
    return devsession.selects(selector, (pod.get("metadata") or {}).get("labels") or {})


def _budget(raw: Mapping[str, Any]) -> facts.Budget:
    status = raw.get("status") or {}
    name = str((raw.get("metadata") or {}).get("name", ""))
    numbers = [status.get(key) for key in ("disruptionsAllowed", "desiredHealthy", "currentHealthy")]
    return facts.Budget(name, *(each if isinstance(each, int) else 0 for each in numbers))
