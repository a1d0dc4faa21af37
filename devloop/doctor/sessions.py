"""What the facts about sessions mean: the webhook, what became of pods, the budgets that keep them. Pure.

Only where sessions are a way in for this user at all; else `devloop.doctor.rungs` says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from devloop import errors
from devloop.doctor import checks, facts, report
from devloop.doctor.report import Level, Line

_CODE: Final = "DL0821"
_OPS: Final = "whoever runs the cluster"
_PODS: Final = "kubectl get pods -A -l app.kubernetes.io/name=devloop-admission"


def webhook(found: facts.Webhook | None) -> Iterator[Line]:
    """Yield the checks of the webhook."""
    if found is None:
        return
    yield _answers(found.author)
    configuration = found.configuration
    if isinstance(configuration, facts.Unknown):
        yield report.unknown(
            checks.CLUSTER,
            "webhook configuration",
            configuration.reason,
            f"{_OPS} sees it: kubectl get mutatingwebhookconfigurations -l app.kubernetes.io/name=devloop-admission",
        )
    elif configuration is None:
        text = "there is none, so pods come without an agent, and sessions without an author"
        fix = f"{_OPS} installs config/helm/devloop again: its MutatingWebhookConfiguration is missing"
        yield _line("webhook configuration", Level.FAIL, text, fix)
    else:
        yield _configuration(configuration)
        yield _endpoints(configuration)


def _line(name: str, level: Level, text: str, fix: str = "") -> Line:
    code = _CODE if level is Level.FAIL else ""
    return Line(group=checks.CLUSTER, name=name, level=level, text=text, fix=fix, code=code)


def _answers(author: facts.Maybe[str] | errors.DevloopError) -> Line:
    name = "webhook"
    if isinstance(author, facts.Unknown):
        return report.unknown(checks.CLUSTER, name, author.reason)
    if isinstance(author, errors.DevloopError):
        return report.of_error(checks.CLUSTER, name, author)
    if not author:
        text = "a session that was only tried came back without an author: nobody looks at them"
        fix = f"{_OPS}: is the MutatingWebhookConfiguration of config/helm/devloop there?"
        return _line(name, Level.FAIL, text, fix)
    return _line(name, Level.PASS, f"it answers, and knows you as {author}")


def _configuration(found: facts.Configuration) -> Line:
    name = "webhook configuration"
    if found.bundles < found.hooks:
        text = f"{found.name} has no caBundle yet, so the API server trusts no answer"
        fix = f"the webhook writes it within a minute: {_PODS}; a GitOps tool must ignore caBundle"
        return _line(name, Level.FAIL, text, fix)
    if found.sessions_policy != "Fail":
        text = f"{found.name}: failurePolicy of sessions is {found.sessions_policy}, so one may come without an author"
        return _line(name, Level.FAIL, text, f"{_OPS} sets it to Fail, as config/helm/devloop has it")
    if found.pods_policy != "Ignore":
        text = f"{found.name}: failurePolicy of pods is {found.pods_policy}: a webhook that is away stops every new pod"
        return _line(name, Level.WARN, text, f"{_OPS} sets it to Ignore, as config/helm/devloop has it")
    return _line(name, Level.PASS, f"{found.name}: pods Ignore, sessions Fail, caBundle written")


def _endpoints(found: facts.Configuration) -> Line:
    name = "webhook endpoints"
    if isinstance(found.ready, facts.Unknown):
        return report.unknown(checks.CLUSTER, name, found.ready.reason, f"{_OPS} sees them: {_PODS}")
    if not found.ready:
        return _line(name, Level.FAIL, f"no pod is ready behind {found.service}", f"{_OPS}: {_PODS}")
    return _line(name, Level.PASS, f"{found.ready} ready behind {found.service}")


def session(group: str, found: facts.Maybe[facts.Session | None]) -> Iterator[Line]:
    """Yield the check of a workload's session, where it has one.

    Args:
        group: The service's.
        found: The facts.
    """
    name = "session"
    if isinstance(found, facts.Unknown):
        yield report.unknown(group, name, found.reason)
    elif found is not None:
        level, text, fix = _session(found)
        details = tuple(f"{pod}: {why}" for pod, why in found.passed.items())
        code = _CODE if found.stray and not found.injected else ""
        yield Line(group=group, name=name, level=level, text=text, fix=fix, code=code, details=details)


def _session(found: facts.Session) -> tuple[Level, str, str]:
    whose = f"{found.name} of {found.owner or 'somebody'}"
    if found.passed:
        first = next(iter(found.passed.values()))
        return Level.WARN, f"{whose}: pods come without an agent: {first}", "mend that; the next pods come with it"
    if found.stray:
        text = f"{whose}: the webhook never saw {', '.join(found.stray)}, which came after the session"
        return (
            Level.FAIL,
            text,
            f"{_OPS}: is the namespace open (devloop.dev/inject=enabled), does the webhook run? {_PODS}",
        )
    seen = f"the agent came into {', '.join(found.injected)}" if found.injected else "no pod was made for it yet"
    if isinstance(found.tried, facts.Unknown):
        tried = f"whether a further pod would come with it was not tried: {found.tried.reason}"
        return (Level.PASS if found.injected else Level.UNKNOWN), f"{whose}: {seen}; {tried}", ""
    if found.tried:
        text = f"{whose}: {seen}, but a pod that was only tried came without: {found.tried}"
        return Level.FAIL, text, f"{_OPS}: does the webhook run, is the namespace open? {_PODS}"
    return Level.PASS, f"{whose}: {seen}; a pod that was only tried came with it", ""


def budgets(group: str, found: facts.Maybe[tuple[facts.Budget, ...]]) -> Iterator[Line]:
    """Yield the check of the budgets that keep pods from eviction.

    Args:
        group: The service's.
        found: Those that hold for its pods.
    """
    name = "budgets"
    if isinstance(found, facts.Unknown):
        fix = "without that right only a try shows whether a PodDisruptionBudget keeps a pod"
        yield report.unknown(group, name, found.reason, fix)
        return
    if len(found) > 1:
        text = f"{' and '.join(each.name for each in found)} hold for the same pods, which then can never be evicted"
        fix = "leave one PodDisruptionBudget for these pods: Kubernetes evicts no pod that has several"
        yield Line(group=group, name=name, level=Level.FAIL, text=text, fix=fix, code="DL0785")
        return
    for each in found:
        text = f"{each.name} needs {each.needs} healthy pods, and {each.healthy} are"
        if each.allowed > 0:
            yield Line(group=group, name=name, level=Level.PASS, text=f"{text}: {each.allowed} may be evicted now")
            continue
        fix = "scale the workload up by one, or lower minAvailable: a session evicts its pods, and waits for the budget"
        yield Line(
            group=group,
            name=name,
            level=Level.WARN,
            text=f"{text}: none may be evicted now, so no session can bring the agent in",
            fix=fix,
            code="DL0785",
        )
