"""Which way in can be used for a service, and why not the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from devloop import errors
from devloop.doctor import checks, facts
from devloop.doctor.report import Rung, Usable, Verdict

# Ephemeral containers are stable from here on (KEP-277).
EPHEMERAL_SINCE: Final = (1, 25)


def verdicts(found: facts.Workload, cluster: facts.Cluster) -> tuple[Verdict, ...]:
    """Return whether each rung can be used for a service, the preferred first."""
    return (
        Verdict(Rung.DECLARED, *_declared(found)),
        Verdict(Rung.ADMISSION, *_admission(found, cluster)),
        Verdict(Rung.EPHEMERAL, *_ephemeral(found, cluster)),
        Verdict(Rung.PATCH, *_patch(found, cluster)),
    )


def may_ask_for_sessions(cluster: facts.Cluster) -> bool:
    """Say whether sessions are a way in for this user, as far as the chart and their rights go."""
    return cluster.chart is True and not checks.lacking(cluster.rungs.get(Rung.ADMISSION, ()))


def first(judged: Sequence[Verdict]) -> Verdict | None:
    """Return the first rung that can be used."""
    return next((each for each in judged if each.usable is Usable.YES), None)


def _declared(found: facts.Workload) -> tuple[Usable, str]:
    having = [pod for pod in found.pods if pod.agent != "absent"]
    if having:
        return Usable.YES, f"the agent is in {len(having)} of {len(found.pods)} pods"
    if obstacle := _obstacle(found):
        return Usable.NO, obstacle
    if found.template is None:
        return Usable.UNKNOWN, "there is no pod to judge by"
    return Usable.YES, "the manifests can take the agent: `devloop inject`, then apply or commit them"


def _admission(found: facts.Workload, cluster: facts.Cluster) -> tuple[Usable, str]:
    if cluster.chart is False:
        return Usable.NO, "the chart is not installed: the cluster has no devsessions.devloop.dev"
    if isinstance(cluster.chart, facts.Unknown):
        return Usable.UNKNOWN, cluster.chart.reason
    if denied := _denied(cluster, Rung.ADMISSION):
        return denied
    if obstacle := _webhook(cluster.webhook) or _obstacle(found):
        return Usable.NO, obstacle
    return Usable.YES, "the chart is installed, and you may ask for sessions and evict pods"


def _webhook(found: facts.Webhook | None) -> str:
    """Return why the webhook makes no session; empty where it does, or nobody knows."""
    if found is None or isinstance(found.author, facts.Unknown):
        return ""
    if isinstance(found.author, errors.DevloopError):
        return found.author.message
    return "" if found.author else "no webhook looks at sessions"


def _ephemeral(found: facts.Workload, cluster: facts.Cluster) -> tuple[Usable, str]:
    server = cluster.server
    if isinstance(server, facts.Server) and (server.major, server.minor) < EPHEMERAL_SINCE:
        return Usable.NO, f"needs Kubernetes {EPHEMERAL_SINCE[0]}.{EPHEMERAL_SINCE[1]}, this is {server.text}"
    template = found.template
    if template is not None and template.supervised:
        return Usable.NO, "`reload: supervise` restarts the app, and the agent would end with the app's first process"
    if denied := _denied(cluster, Rung.EPHEMERAL):
        return denied
    running = [pod for pod in found.pods if pod.running]
    if not running:
        return Usable.NO, "no pod runs that it could join"
    return _writable(running, template)


def _writable(running: Sequence[facts.Pod], template: facts.Template | None) -> tuple[Usable, str]:
    """Say whether the app's user may write what is synced, for there is no volume of devloop's own to write to."""
    places = [place for pod in running for place in pod.places]
    for place in places:
        if place.writable is False:
            root = "its root is read-only" if template is not None and template.read_only else "the app's user may not"
            return Usable.NO, f"{place.to} cannot be written: {root}"
    unsure = [place for place in places if isinstance(place.writable, facts.Unknown)]
    if unsure or not places:
        return Usable.UNKNOWN, "nobody could try whether the app's user may write there"
    return Usable.YES, f"the app's user may write {', '.join(dict.fromkeys(place.to for place in places))}"


def _patch(found: facts.Workload, cluster: facts.Cluster) -> tuple[Usable, str]:
    if found.template is None:
        return Usable.NO, "the service names pods by a selector, and there is no workload to patch"
    if found.whose.startswith(("rollout/", "pod/", "Rollout/", "Pod/")):
        return Usable.NO, f"a {found.whose.partition('/')[0]} cannot be patched without changing what git says"
    if denied := _denied(cluster, Rung.PATCH):
        return denied
    if obstacle := _obstacle(found):
        return Usable.NO, obstacle
    return Usable.YES, "you may patch the workload; only where no Argo CD Application owns it"


def _denied(cluster: facts.Cluster, rung: Rung) -> tuple[Usable, str] | None:
    asked = cluster.rungs.get(rung, ())
    if denied := checks.lacking(asked):
        return Usable.NO, f"you may not {checks.told(denied)}"
    if unsure := checks.unanswered(asked):
        assert isinstance(unsure[0].allowed, facts.Unknown)
        return Usable.UNKNOWN, unsure[0].allowed.reason
    if not asked:
        return Usable.UNKNOWN, "the rights for it were not asked for"
    return None


def _obstacle(found: facts.Workload) -> str:
    template = found.template
    return template.obstacles[0].message if template is not None and template.obstacles else ""
