"""What runs in a container now: its command, folder, user and ports, for a devloop.yaml that fits it.

The pod's manifest says some of it; the rest is read from process 1 by exec, where the image has `cat` and `readlink`.
What cannot be found out is left open, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.kube import client, execute, paths, pods, workloads

# The launcher of an injected pod: what follows `--` is the app's own command.
_LAUNCHER: Final = "/devloop/tools/busybox"

# Which container `kubectl` takes where none is named.
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"

_TIMEOUT_S: Final = 10.0


class Running(msgspec.Struct, frozen=True):
    """One container of a workload's newest pod.

    Attributes:
        container: Its name.
        is_only: The pod has no other.
        command: What process 1 runs; empty where nobody says.
        cwd: Where it runs; empty where nobody says.
        uid: As whom; None where nobody says.
        gid: The same of the group.
        ports: What the manifest names.
    """

    container: str
    is_only: bool
    command: tuple[str, ...] = ()
    cwd: str = ""
    uid: int | None = None
    gid: int | None = None
    ports: tuple[int, ...] = ()


async def running(api: client.Client, reference: workloads.Reference, container: str = "") -> Running:
    """Look at a workload's newest pod.

    Args:
        api: The cluster.
        reference: The workload.
        container: Which container; empty for the only one.

    Raises:
        NotThereError: There is no such workload, or it has no pods.
        UsageError: The pod has several containers, or none of this name.
        ClusterError: See `Client.get`.
    """
    wanted = workloads.of_workload(reference, await api.find(reference.path(api.namespace)))
    query = {"labelSelector": wanted.label_selector, "fieldSelector": wanted.field_selector}
    listed = await api.list(paths.of("v1", "pods", api.namespace), {key: text for key, text in query.items() if text})
    ours = [raw for raw in listed.items if wanted.has(pods.view(raw))]
    if not ours:
        raise errors.NotThereError(
            f"{reference} has no pods", hint="scale it up, so that there is something to look at", code="DL0760"
        )
    raw = max(ours, key=lambda each: pods.view(each).created)
    found = of_pod(raw, container)
    where = execute.Where(api.namespace, pods.view(raw).name, found.container)
    told = [
        await _said(api, where, argv)
        for argv in (["cat", "/proc/1/cmdline"], ["cat", "/proc/1/status"], ["readlink", "/proc/1/cwd"])
    ]
    return of_process(found, *told)


def of_pod(raw: Mapping[str, Any], container: str) -> Running:
    """Return what a pod's manifest says of a container.

    Raises:
        UsageError: See `running`.
    """
    spec = raw.get("spec") or {}
    listed = [each for each in spec.get("containers") or [] if each.get("name") != pods.AGENT]
    chosen = _chosen(raw, [str(each.get("name", "")) for each in listed], container)
    told = next(each for each in listed if each.get("name") == chosen)
    security = {**(spec.get("securityContext") or {}), **(told.get("securityContext") or {})}
    words = [*(told.get("command") or []), *(told.get("args") or [])]
    return Running(
        container=chosen,
        is_only=len(listed) == 1,
        # Arguments alone are those of the image's own command, which the manifest does not tell.
        command=_app_of([str(word) for word in words]) if told.get("command") else (),
        cwd=str(told.get("workingDir") or ""),
        uid=security.get("runAsUser"),
        gid=security.get("runAsGroup"),
        ports=tuple(int(port["containerPort"]) for port in told.get("ports") or [] if "containerPort" in port),
    )


def of_process(known: Running, cmdline: bytes, status: bytes, cwd: bytes) -> Running:
    """Return what the process itself adds; it is right where it differs from the manifest.

    Args:
        known: From the manifest.
        cmdline: /proc/1/cmdline; empty where it could not be read, like the others.
        status: /proc/1/status.
        cwd: What /proc/1/cwd leads to.
    """
    words = [word.decode("utf-8", "replace") for word in cmdline.rstrip(b"\0").split(b"\0") if word]
    ids = {line.split(b":")[0]: line.split() for line in status.splitlines() if line.startswith((b"Uid:", b"Gid:"))}
    return msgspec.structs.replace(
        known,
        command=known.command or _app_of(words),
        cwd=cwd.decode("utf-8", "replace").strip() or known.cwd,
        uid=_id(ids.get(b"Uid")) if b"Uid" in ids else known.uid,
        gid=_id(ids.get(b"Gid")) if b"Gid" in ids else known.gid,
    )


def _chosen(raw: Mapping[str, Any], names: Sequence[str], container: str) -> str:
    meta = raw.get("metadata") or {}
    default = str((meta.get("annotations") or {}).get(_DEFAULT_CONTAINER, ""))
    wanted = container or (default if default in names else "") or (names[0] if len(names) == 1 else "")
    if wanted in names and wanted:
        return wanted
    listed = ", ".join(names) or "none"
    what = f"has no container {container!r}" if container else "has several containers"
    raise errors.UsageError(
        f"pod {meta.get('name', '')} {what}", hint=f"name one with --container: {listed}", code="DL0802"
    )


def _app_of(words: Sequence[str]) -> tuple[str, ...]:
    if words and words[0] == _LAUNCHER and "--" in words:
        return tuple(words[list(words).index("--") + 1 :])
    return tuple(words)


def _id(words: Sequence[bytes] | None) -> int | None:
    """Return the effective one of the four ids in a line of /proc/PID/status (proc(5))."""
    return int(words[2]) if words and len(words) > 2 and words[2].isdigit() else None


async def _said(api: client.Client, where: execute.Where, argv: Sequence[str]) -> bytes:
    """Return what a command prints, or nothing where the image does not have it or it fails."""
    try:
        result = await execute.run(api, where, argv, timeout_s=_TIMEOUT_S)
    except errors.ExecError:
        return b""
    return result.stdout if not result.status else b""
