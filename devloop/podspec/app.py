"""What changes in the app's own container: mounts, command, probes, variables, image. Everything else stays.

Each function makes its change through `edit.Edits`, which knows how to undo it, and yields what it did and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from devloop.podspec import edit, literal, names, outcome, places, request

CODE: Final = "DL0807"

_PROBES: Final = ("livenessProbe", "startupProbe")
_DEFAULT_GRACE_S: Final = 30
"""terminationGracePeriodSeconds where the pod says nothing (k8s.io/api/core/v1)."""


def refusals(pod: outcome.Tree, index: int, service: request.Service) -> Iterator[outcome.Refusal]:
    """Yield why the app's container cannot be what the service wants.

    Args:
        pod: A checked pod template.
        index: The app's container.
        service: The service.
    """
    app, at = pod["spec"]["containers"][index], ("spec", "containers", index)
    if service.wait_first_sync and not service.supervise:
        yield outcome.Refusal(
            CODE,
            "wait_first_sync needs the launcher, and that needs reload: supervise",
            "add reload: supervise, or remove wait_first_sync",
        )
    if service.supervise and not (service.command or app.get("command")):
        yield outcome.Refusal(
            CODE,
            f"the container {app['name']} names no command, so it runs its image's own, which the pod does not tell",
            "add command: [python, app.py] to the service: what the image's ENTRYPOINT and CMD say",
            at,
        )
    for mounted in places.mounts(app):
        if mounted.path == names.HOME or mounted.path.startswith(f"{names.HOME}/"):
            where = (*at, "volumeMounts", mounted.index)
            yield outcome.Refusal(
                CODE, f"{mounted.path} is devloop's own folder in a pod", "mount the volume somewhere else", where
            )
    paths = {each.path for each in places.mounts(app)}
    synced = {sync.to for sync in service.syncs}
    for path in service.persist:
        if path in paths or path in synced:
            what = "synced" if path in synced else "a volume already"
            yield outcome.Refusal(
                CODE, f"{path} cannot be persisted: it is {what}", "persist a folder beneath it, or none", at
            )


def change(edits: edit.Edits, service: request.Service, found: Sequence[places.Place]) -> Iterator[str]:
    """Change the app's container, and yield what was done.

    Args:
        edits: Where the changes are made.
        service: What they are.
        found: Where the syncs live.
    """
    yield from _overrides(edits, service)
    yield from _mounts(edits, service, found)
    if service.supervise:
        yield from _supervise(edits, service)
    yield from _probes(edits, service)


def _overrides(edits: edit.Edits, service: request.Service) -> Iterator[str]:
    if service.image and edits.app.get("image") != service.image:
        edits.set("image", service.image)
        yield f"runs the image {service.image}, as the service asks"
    for name, value in service.env:
        had = edits.set_env(name, literal.word(value))
        yield f"variable {name} is {'replaced' if had else 'added'}, as the service asks"
    workdir = service.workdir or (service.syncs[0].to if service.supervise and service.command else "")
    if workdir and edits.app.get("workingDir") != workdir:
        edits.set("workingDir", workdir)
        yield f"runs in {workdir}, where its command is"


def _mounts(edits: edit.Edits, service: request.Service, found: Sequence[places.Place]) -> Iterator[str]:
    mounts: list[outcome.Tree] = []
    for place in found:
        yield _told(place)
        if place.fresh:
            mounts.append({"name": place.mount["name"], "mountPath": place.sync.to, "subPath": names.DATA})
        for path in place.protected:
            if path not in service.persist:
                yield f"{path} stays what is mounted there, protected from the sync"
    for path in service.persist:
        mounts.append({"name": names.PERSIST, "mountPath": path, "subPath": f"{path[1:]}/{names.DATA}"})
        yield f"{path} is kept in the claim {service.claim} when the pod goes"
    if service.supervise:
        mounts.append({"name": names.TOOLS, "mountPath": names.TOOLS_AT, "readOnly": True})
        mounts.append({"name": names.RUN, "mountPath": names.RUN_AT})
    edits.mount(mounts)


def _told(place: places.Place) -> str:
    to, seed = place.sync.to, place.sync.seed
    if not place.fresh:
        return f"{to} is in the volume {place.mount['name']} already, which is used as it is, without a seed"
    if not seed:
        return f"{to} is a volume of its own, empty at the start"
    what = "the image's own files" if seed == ("**",) else f"the image's {', '.join(seed)}"
    return f"{to} is a volume of its own, with {what} at the start"


def _supervise(edits: edit.Edits, service: request.Service) -> Iterator[str]:
    app = edits.app
    own = [*(app.get("command") or []), *(app.get("args") or [])]
    launcher = [names.BUSYBOX, "sh", names.LAUNCHER]
    if service.wait_first_sync:
        launcher.append("--wait-first-sync")
    grace_s = round(service.grace_s, 2)
    edits.set("command", [*launcher, "--grace", f"{grace_s:g}", "--"])
    edits.set("args", literal.words(service.command) if service.command else own)
    yield "its command runs under the launcher, which starts it anew after a sync without a restart of the container"
    if service.wait_first_sync:
        yield "starts after the first sync, or after a minute without a laptop"
    ends_s = edits.pod["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE_S)
    if isinstance(ends_s, int) and ends_s <= grace_s:
        yield f"grace of {grace_s:g} s is cut short when the pod ends: terminationGracePeriodSeconds is {ends_s}"


def _probes(edits: edit.Edits, service: request.Service) -> Iterator[str]:
    wanted = service.probes is request.Probes.DROP or (service.probes is request.Probes.AUTO and service.supervise)
    there = [probe for probe in _PROBES if edits.app.get(probe) is not None]
    if not wanted or not there:
        return
    for probe in there:
        edits.drop(probe)
    why = "the app is away between two starts" if service.supervise else "the service asks so"
    yield f"{' and '.join(there)} {'is' if len(there) == 1 else 'are'} dropped, because {why}; readiness is kept"
