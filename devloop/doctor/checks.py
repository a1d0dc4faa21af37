"""What the facts of this machine and of the cluster mean: pure functions, a line for each check.

What only one service is concerned with is in `devloop.doctor.workload`, the ways in are in `devloop.doctor.rungs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from devloop import errors
from devloop.doctor import facts, report
from devloop.doctor.report import Level, Line
from devloop.watch import limits

MACHINE: Final = "machine"
CLUSTER: Final = "cluster"

PYTHON: Final = (3, 11)

# Of the limit, above which this project alone is a reason to raise it: editors and other projects watch as well.
_CROWDED: Final = 0.8

# Tokens and certificates are valid for minutes around their time; what is less shows nowhere.
_SKEW_S: Final = 10.0

# The oldest version that devloop is tried on, and the first that has Pod Security levels on by default (KEP-2579).
OLDEST: Final = (1, 20)
_POD_SECURITY: Final = (1, 23)
_ENFORCE: Final = "pod-security.kubernetes.io/enforce"

ROLE_FIX: Final = "bind the Role of config/rbac to the user (docs/install-ops.md)"


def machine(found: facts.Machine) -> Iterator[Line]:
    """Yield the checks of the laptop."""
    yield _python(found.python)
    yield _git(found.git)
    if found.system == "linux":
        yield _watches(found)
        yield _instances(found)


def _python(version: tuple[int, int, int]) -> Line:
    text = ".".join(map(str, version))
    if version[:2] < PYTHON:
        fix = f"install Python {PYTHON[0]}.{PYTHON[1]} or later, and devloop with it"
        return Line(group=MACHINE, name="python", level=Level.FAIL, text=f"{text} is too old", fix=fix)
    return Line(group=MACHINE, name="python", level=Level.PASS, text=text)


def _git(found: facts.Maybe[str]) -> Line:
    if isinstance(found, facts.Unknown):
        fix = "install git: without it devloop does not know what is tracked, nor what .gitignore means above `from`"
        return Line(group=MACHINE, name="git", level=Level.WARN, text=found.reason, fix=fix)
    return Line(group=MACHINE, name="git", level=Level.PASS, text=found)


def _notified(found: facts.Machine) -> list[int]:
    return [each.folders for each in found.folders if each.backend == "inotify" and isinstance(each.folders, int)]


def _watches(found: facts.Machine) -> Line:
    needed, allowed = sum(_notified(found)), found.watches
    name = "inotify watches"
    if not allowed:
        return report.unknown(MACHINE, name, f"{needed:,} are needed, and the system does not tell how many may be had")
    text = f"{needed:,} needed, {allowed:,} allowed"
    if needed > allowed:
        # Not a failure: the rest is polled, which is slower and costs more.
        text += ": some folders would be polled, so that their changes are seen seconds later"
    elif needed > allowed * _CROWDED:
        text += ": editors and other programs need some as well"
    else:
        return Line(group=MACHINE, name=name, level=Level.PASS, text=text)
    return Line(group=MACHINE, name=name, level=Level.WARN, text=text, fix=limits.watches_hint(needed, allowed))


def _instances(found: facts.Machine) -> Line:
    needed, allowed = len(_notified(found)), found.instances
    name = "inotify instances"
    if not allowed:
        return report.unknown(MACHINE, name, f"{needed:,} are needed, and the system does not tell how many may be had")
    text = f"{needed:,} needed, {allowed:,} allowed"
    if needed >= allowed:
        fix = limits.instances_hint(allowed)
        return Line(group=MACHINE, name=name, level=Level.WARN, text=f"{text} in all programs together", fix=fix)
    return Line(group=MACHINE, name=name, level=Level.PASS, text=text)


def cluster(found: facts.Cluster) -> Iterator[Line]:
    """Yield the checks of the cluster; where one fails that the rest needs, it is the last."""
    if isinstance(found.way, errors.DevloopError):
        yield report.of_error(CLUSTER, "kubeconfig", found.way)
        return
    text = f"context {found.way.context}, namespace {found.way.namespace}"
    yield Line(group=CLUSTER, name="kubeconfig", level=Level.PASS, text=text)
    if isinstance(found.server, facts.Unknown):
        yield report.unknown(CLUSTER, "API server", found.server.reason, "check the network, the VPN and --context")
        return
    if isinstance(found.server, errors.DevloopError):
        yield report.of_error(CLUSTER, "API server", found.server)
        return
    yield _server(found.way, found.server)
    yield _clock(found.server.skew_s)
    yield from _namespace(found)
    yield rights("rights", found.base, found.way.namespace)


def _server(way: facts.Way, server: facts.Server) -> Line:
    text = f"Kubernetes {server.text} at {way.server}"
    if (server.major, server.minor) < OLDEST:
        fix = f"devloop is tried on Kubernetes {OLDEST[0]}.{OLDEST[1]} and later"
        return Line(group=CLUSTER, name="API server", level=Level.WARN, text=text, fix=fix)
    return Line(group=CLUSTER, name="API server", level=Level.PASS, text=text)


def _clock(skew_s: float | None) -> Line:
    if skew_s is None:
        return report.unknown(CLUSTER, "clock", "the API server does not tell its time")
    if abs(skew_s) > _SKEW_S:
        side = "ahead of" if skew_s > 0 else "behind"
        text = f"the API server's is {abs(skew_s):.0f} s {side} this machine's"
        fix = "let both follow a time server (`timedatectl set-ntp true`): tokens and certificates depend on it"
        return Line(group=CLUSTER, name="clock", level=Level.WARN, text=text, fix=fix)
    return Line(group=CLUSTER, name="clock", level=Level.PASS, text="the same as the API server's")


def _namespace(found: facts.Cluster) -> Iterator[Line]:
    assert isinstance(found.way, facts.Way)
    assert isinstance(found.server, facts.Server)
    labels, name = found.namespace_labels, found.way.namespace
    if isinstance(labels, errors.NotThereError):
        yield report.of_error(CLUSTER, "namespace", labels)
        return
    why = ""
    if isinstance(labels, facts.Unknown):
        why = labels.reason
    elif isinstance(labels, errors.DevloopError):
        why = labels.message
    else:
        yield Line(group=CLUSTER, name="namespace", level=Level.PASS, text=name)
    if why:
        fix = (
            "the workloads below show whether the namespace is there; `get namespaces` is not needed for anything else"
        )
        yield report.unknown(CLUSTER, "Pod Security", f"{name} cannot be read: {why}", fix)
    elif isinstance(labels, dict):
        yield _pod_security(labels, found.server)


def _pod_security(labels: dict[str, str], server: facts.Server) -> Line:
    level = labels.get(_ENFORCE, "")
    if level:
        text = f"{level}: what devloop puts into a pod passes it wherever the app does"
    elif (server.major, server.minor) < _POD_SECURITY:
        text = f"not known to Kubernetes {server.text}; PodSecurityPolicies, if any, decide"
    else:
        text = "no level on the namespace, so the cluster's default holds"
    return Line(group=CLUSTER, name="Pod Security", level=Level.PASS, text=text)


def rights(name: str, asked: Sequence[facts.Right], namespace: str) -> Line:
    """Return the line of the rights that every way needs."""
    denied, unsure = lacking(asked), unanswered(asked)
    if denied:
        return Line(
            group=CLUSTER,
            name=name,
            level=Level.FAIL,
            text=f"you may not {told(denied)} in namespace {namespace}",
            fix=ROLE_FIX,
            code=errors.ForbiddenError.code,
            status=errors.Exit.AUTH,
            details=tuple(each.can_i for each in denied),
        )
    if unsure:
        assert isinstance(unsure[0].allowed, facts.Unknown)
        return report.unknown(CLUSTER, name, f"whether you may {told(unsure)}: {unsure[0].allowed.reason}")
    text = f"all {len(asked)} that every way in needs"
    return Line(group=CLUSTER, name=name, level=Level.PASS, text=text)


def lacking(asked: Iterable[facts.Right]) -> list[facts.Right]:
    """Return the rights that are denied."""
    return [each for each in asked if each.allowed is False]


def unanswered(asked: Iterable[facts.Right]) -> list[facts.Right]:
    """Return the rights of which nobody knows."""
    return [each for each in asked if isinstance(each.allowed, facts.Unknown)]


def told(some: Iterable[facts.Right]) -> str:
    """Return rights in words, the verbs of one kind together: `get and create pods/exec`."""
    verbs: dict[str, list[str]] = {}
    for each in some:
        verbs.setdefault(each.kind, []).append(each.verb)
    return ", ".join(f"{' and '.join(words)} {kind}" for kind, words in verbs.items())
