"""Decides about a pod that is being made: which session means it, and what becomes of it.

Pure. `agent.webhook.server` brings the sessions and the workload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from agent.webhook import review
from devloop.kube import pods, workloads
from devloop.podspec import devsession, inject, request


class Chart(msgspec.Struct, frozen=True):
    """What Ops alone decide, and the cluster's version.

    Attributes:
        agent_image: The agent's image.
        version: Of the API server.
        allow_dial: What agents may dial besides the pod and its namespace.
    """

    agent_image: str
    version: request.KubeVersion
    allow_dial: tuple[str, ...] = ()


def reference(spec: devsession.Spec) -> workloads.Reference:
    """Return a session's workload.

    Raises:
        KeyError: It is of a kind that devloop does not know.
    """
    return workloads.Reference(workloads.KINDS[spec.workload.kind.lower()], spec.workload.name)


def session_for(raw: Mapping[str, Any], sessions: Iterable[devsession.Session]) -> devsession.Session | None:
    """Return the session that means a pod, by the pod's controller; of several the one that is first by name.

    Args:
        raw: The pod.
        sessions: Those of its namespace.
    """
    pod = pods.view(raw)
    meant = [
        each
        for each in sessions
        if each.spec.workload.kind in devsession.KINDS
        and workloads.Wanted(reference=reference(each.spec)).has(pod)
        # Without an author nobody vouches for it.
        and each.spec.author.name
    ]
    return min(meant, key=lambda each: each.name, default=None)


def skip(raw: Mapping[str, Any]) -> bool:
    """Say whether a pod is none of our business, whatever sessions there are: it has an agent, or no controller."""
    pod = pods.view(raw)
    return pod.owner is None or pod.agent.phase is not pods.Phase.ABSENT or inject.is_injected(dict(raw))


def decide(
    pod: dict[str, Any], session: devsession.Session, workload: Mapping[str, Any], chart: Chart
) -> review.Answer:
    """Return what becomes of a pod that a session means. It is never refused.

    Args:
        pod: The pod.
        session: The session.
        workload: The workload, as the API server has it.
        chart: What Ops decide.
    """
    spec = workload.get("spec") or {}
    labels = (pod.get("metadata") or {}).get("labels") or {}
    if not devsession.selects(spec.get("selector"), labels):
        return passed(pod, session, f"{session.spec.workload.name} does not select its labels")
    templates = spec.get("volumeClaimTemplates") or []
    claims = frozenset(str(each["metadata"]["name"]) for each in templates)
    platform = request.Platform(chart.agent_image, chart.version, claims, chart.allow_dial)
    done = inject.inject(pod, session.spec.service_of(), platform)
    if done.refusals:
        return passed(pod, session, "; ".join(each.message for each in done.refusals))
    labelled = _with(done.pod, "labels", {devsession.LABEL: session.uid})
    return review.changed(pod, _with(labelled, "annotations", {devsession.SEEN: session.mark}))


def passed(pod: dict[str, Any], session: devsession.Session, why: str) -> review.Answer:
    """Return the answer that lets a pod through as it is, but for annotations that say why.

    Args:
        pod: The pod.
        session: The session that means it.
        why: Why it gets no agent.
    """
    notes = {devsession.SEEN: session.mark, devsession.NOT_INJECTED: why}
    return review.changed(pod, _with(pod, "annotations", notes), [f"devloop: the pod goes without an agent: {why}"])


def _with(pod: dict[str, Any], key: str, more: Mapping[str, str]) -> dict[str, Any]:
    meta = pod.get("metadata") or {}
    return {**pod, "metadata": {**meta, key: {**(meta.get(key) or {}), **more}}}
