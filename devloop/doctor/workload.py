"""What the facts of one service mean: its workload, its container and user, its agents, its folders. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import devloop
from devloop import errors
from devloop.doctor import facts, report, rungs, sessions
from devloop.doctor.report import Level, Line, Rung, Usable, Verdict

_INJECT: Final = "put the agent into its manifests with `devloop inject` (config/README.md)"

# From here on a seed makes each start of a pod noticeably slower.
_LARGE_KIB: Final = 1024 * 1024


def group_of(service: str) -> str:
    """Return the group of a service's lines."""
    return f"service/{service}"


def local(found: facts.Local) -> Line:
    """Return the check of a target on this machine."""
    group, name = group_of(found.service), "target"
    if found.foreign:
        return Line(
            group=group,
            name=name,
            level=Level.FAIL,
            text=f"{found.folder} is not empty and was not made by devloop",
            fix="choose an empty or a new folder: what is in a target may be overwritten and deleted",
            code=errors.RootError.code,
            status=errors.Exit.USAGE,
        )
    if not found.writable:
        fix = "mend the rights of the folder, or choose another one"
        text = f"{found.folder} cannot be {'written' if found.exists else 'made'}"
        return Line(group=group, name=name, level=Level.FAIL, text=text, fix=fix, code=errors.RootError.code)
    text = f"{found.folder}{'' if found.exists else ' will be made'}"
    return Line(group=group, name=name, level=Level.PASS, text=text)


def folder(found: facts.Folder) -> Line:
    """Return the check of a folder on the laptop that is synced."""
    group, name, label = group_of(found.service), "folder", found.label
    if found.error is not None:
        return report.of_error(group, name, found.error, label)
    if isinstance(found.folders, facts.Unknown):
        return report.unknown(group, name, found.folders.reason, subject=label)
    text = f"{_counted(found.folders, 'folder')} to watch, by {found.backend}"
    text += (f": {found.why}" if found.why else "") + (f"; {found.repo}" if found.repo else "")
    level = Level.WARN if found.repo_fix else Level.PASS
    return Line(group=group, name=name, level=level, subject=label, text=text, fix=found.repo_fix)


def check(found: facts.Workload, judged: Sequence[Verdict]) -> Iterator[Line]:
    """Yield the checks of a service in the cluster.

    Args:
        found: The facts.
        judged: The ways in, from `rungs.verdicts`.
    """
    group = group_of(found.service)
    if isinstance(found.error, facts.Unknown):
        yield report.unknown(group, "workload", found.error.reason)
        return
    if found.error is not None:
        yield report.of_error(group, "workload", found.error)
        return
    yield _pods(group, found)
    if found.template is not None:
        yield from _template(group, found.template, found.pods)
    for pod in found.pods:
        if pod.agent != "absent":
            yield from _agent(group, pod)
    yield from _places(group, found.pods)
    yield from sessions.session(group, found.session)
    yield from sessions.budgets(group, found.budgets)
    yield _way(group, found, judged)


def _pods(group: str, found: facts.Workload) -> Line:
    if not found.pods:
        fix = "scale it up; `kubectl describe` tells why there are none: a quota, an admission rule"
        text = f"{found.whose} has no pods"
        why = (found.why,) if found.why else ()
        return Line(group=group, name="workload", level=Level.FAIL, text=text, fix=fix, details=why)
    states = tuple(f"{pod.name}: {pod.state}" for pod in found.pods)
    count = _counted(len(found.pods), "pod")
    return Line(group=group, name="workload", level=Level.PASS, text=f"{found.whose}, {count}", details=states)


def _template(group: str, template: facts.Template, some: Sequence[facts.Pod]) -> Iterator[Line]:
    refused = {each.code: each for each in template.obstacles}
    if template.container is None:
        known = refused.get("DL0802")
        yield Line(
            group=group,
            name="container",
            level=Level.FAIL,
            text=known.message if known else f"not clear which of {', '.join(template.containers)}",
            fix=known.fix if known else "name it: container: NAME",
            code="DL0802",
        )
        return
    yield Line(group=group, name="container", level=Level.PASS, text=template.container)
    yield _user(group, template, some)
    if template.by_exec:
        yield _by_exec(group, template, some)
    if any(pod.agent != "absent" for pod in some):
        # It is in already, however that was done.
        return
    for each in template.obstacles:
        if each.code not in {"DL0802", "DL0803"}:
            yield Line(group=group, name="pod", level=Level.WARN, text=each.message, fix=each.fix, code=each.code)


def _by_exec(group: str, template: facts.Template, some: Sequence[facts.Pod]) -> Line:
    """Return whether hooks and reloads can be run in the app's container, which needs a shell there."""
    wanted = ", ".join(template.by_exec)
    if any(pod.shell is False for pod in some):
        text = f"the app's image has no shell to run it with: {wanted}"
        fix = "set reload: {mode: supervise}, and inject the agent again: the launcher brings a shell of its own"
        return Line(group=group, name="reload", level=Level.WARN, text=text, fix=fix)
    unsure = next((pod.shell for pod in some if isinstance(pod.shell, facts.Unknown)), None)
    if unsure is not None:
        return report.unknown(group, "reload", f"whether the app's image has a shell to run it with: {wanted}")
    return Line(group=group, name="reload", level=Level.PASS, text=f"by exec in the app's container: {wanted}")


def _user(group: str, template: facts.Template, some: Sequence[facts.Pod]) -> Line:
    agents = [pod.hello.uid for pod in some if isinstance(pod.hello, facts.Hello)]
    seen = [pod.uid for pod in some if isinstance(pod.uid, int)]
    actual = next(iter(seen), None)
    if template.user is None and not agents:
        told = f"; the running container's is {actual}" if actual is not None else ""
        fix = f"add run_as: {actual if actual is not None else 'UID'} to the service, or runAsUser to the pod"
        text = f"neither the pod nor devloop.yaml says which it is{told}"
        return Line(group=group, name="user", level=Level.WARN, text=text, fix=fix, code="DL0803")
    expected = agents[0] if agents else template.user
    if actual is not None and actual != expected:
        whose = "the agent's" if agents else "expected"
        text = f"the app runs as {actual}, {whose} is {expected}: what one writes the other may not change"
        fix = f"set run_as: {actual} (or the pod's runAsUser), and inject the agent again"
        return Line(group=group, name="user", level=Level.WARN, text=text, fix=fix)
    return Line(group=group, name="user", level=Level.PASS, text=f"{expected}")


def _agent(group: str, pod: facts.Pod) -> Iterator[Line]:
    hello = pod.hello
    if isinstance(hello, facts.Unknown):
        yield report.unknown(group, "agent", hello.reason, subject=pod.name)
    elif isinstance(hello, errors.DevloopError):
        yield report.of_error(group, "agent", hello, pod.name)
    elif hello is None:
        yield _not_running(group, pod)
    else:
        yield _version(group, pod.name, hello)
        for root in hello.roots:
            yield _root(group, pod, hello, root)


def _not_running(group: str, pod: facts.Pod) -> Line:
    stuck = pod.blocked or pod.agent == "ended"
    fix = f"`kubectl describe pod {pod.name}` tells more"
    if "Image" in pod.state:
        fix = "check the image's name and tag (--agent-image of `devloop inject`), and whether the cluster may pull it"
    level = Level.FAIL if stuck else Level.WARN
    return Line(
        group=group,
        name="agent",
        subject=pod.name,
        level=level,
        text=pod.state,
        fix=fix,
        code="DL0761",
        details=(pod.why,) if pod.why else (),
    )


def _version(group: str, pod: str, hello: facts.Hello) -> Line:
    held = (f"synced by {hello.holder} now",) if hello.holder else ()
    if hello.version != devloop.__version__:
        text = f"devloop {hello.version}, and this is {devloop.__version__}; they speak the same protocol"
        fix = "inject the agent again, so that both are of one version"
        return Line(group=group, name="agent", subject=pod, level=Level.WARN, text=text, fix=fix, details=held)
    text = f"devloop {hello.version}"
    return Line(group=group, name="agent", subject=pod, level=Level.PASS, text=text, details=held)


def _root(group: str, pod: facts.Pod, hello: facts.Hello, root: facts.Root) -> Line:
    subject = f"{pod.name}:{root.to}"
    if root.trouble:
        text = f"user {hello.uid} cannot: {root.trouble}"
        fix = "give the folder to that user (an fsGroup, or the image), or let the app run as the one who owns it"
        return Line(group=group, name="write", subject=subject, level=Level.FAIL, text=text, fix=fix, code="DL0610")
    text = f"as user {hello.uid}; {_counted(root.managed, 'path')} of devloop's"
    return Line(group=group, name="write", subject=subject, level=Level.PASS, text=text)


def _places(group: str, some: Sequence[facts.Pod]) -> Iterator[Line]:
    """Yield what is in the synced folders already, once for all pods: it is what a seed copies."""
    seen: set[str] = set()
    for pod in some:
        for place in pod.places:
            if place.to in seen:
                continue
            seen.add(place.to)
            yield _seed(group, place)


def _seed(group: str, place: facts.Place) -> Line:
    if isinstance(place.kib, facts.Unknown):
        return report.unknown(group, "seed", place.kib.reason, subject=place.to)
    text = f"{_size(place.kib)} in the container; a seed copies it at each start of a pod"
    if place.kib > _LARGE_KIB:
        fix = "sync a smaller folder, or let `seed:` name what is needed: seed: [node_modules/**]"
        return Line(group=group, name="seed", subject=place.to, level=Level.WARN, text=text, fix=fix)
    return Line(group=group, name="seed", subject=place.to, level=Level.PASS, text=text)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _size(kib: int) -> str:
    return f"{kib / 1024:,.1f} MiB" if kib >= 1024 else f"{kib} KiB"


def _way(group: str, found: facts.Workload, judged: Sequence[Verdict]) -> Line:
    """Return whether devloop gets in, and by which rung; the others follow as details."""
    chosen = rungs.first(judged)
    details = tuple(f"{each.rung}: {each.usable}, {each.reason}" for each in judged if each is not chosen)
    without = [pod.name for pod in found.pods if pod.agent == "absent"]
    if chosen is None:
        unsure = any(each.usable is Usable.UNKNOWN for each in judged)
        text = "none of the ways is known to be usable" if unsure else "there is none"
        level = Level.UNKNOWN if unsure else Level.FAIL
        return Line(group=group, name="way in", level=level, text=text, fix="see the reasons below", details=details)
    if chosen.rung is Rung.DECLARED and without:
        if len(without) == len(found.pods):
            text = f"no agent in any pod yet; {chosen.rung} can be used"
            return Line(
                group=group, name="way in", level=Level.FAIL, text=text, fix=_INJECT, code="DL0760", details=details
            )
        text = f"{chosen.rung}: {', '.join(without)} without an agent, not synced"
        fix = "wait for the rollout, or restart it: the pods are of an older version of the manifests"
        return Line(group=group, name="way in", level=Level.WARN, text=text, fix=fix, details=details)
    text = f"{chosen.rung}: {chosen.reason}"
    return Line(group=group, name="way in", level=Level.PASS, text=text, details=details)
