"""The containers that devloop adds: the tools, the seed, the agent.

Each of them passes Pod Security `restricted` wherever the app itself does: the app's own user, no capabilities, a
read-only root, no token of the service account. None of them asks for anything of the node.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from devloop.podspec import identity, literal, names, outcome, places, request

_AGENT: Final = ["python", "-m", "agent"]

_RESOURCES: Final = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "512Mi"}}


class Crew(msgspec.Struct, frozen=True):
    """What the containers are made from.

    Attributes:
        app: The app's container, overrides included.
        user: Who it runs as.
        service: The service.
        platform: The agent's image, and how it runs.
        found: Where the syncs live.
    """

    app: outcome.Tree
    user: identity.User
    service: request.Service
    platform: request.Platform
    found: tuple[places.Place, ...]


def tools(crew: Crew) -> outcome.Tree:
    """Return the init container that brings busybox and the scripts."""
    mounts = [{"name": names.TOOLS, "mountPath": names.TOOLS_AT}]
    command = {"command": list(_AGENT), "args": ["tools", names.TOOLS_AT]}
    return _container(crew, names.TOOLS, {"image": crew.platform.agent_image}, command, mounts)


def seed(crew: Crew) -> outcome.Tree | None:
    """Return the init container that copies the image's own files, or None where there is nothing for it to do.

    It runs the app's image by the tools' busybox, so the image needs no shell: one call of seed.sh for each folder.
    """
    steps, mounts = _steps(crew)
    if not steps:
        return None
    image = {key: crew.app[key] for key in ("image", "imagePullPolicy") if crew.app.get(key)}
    line = literal.word("\n".join(steps))
    command = {"command": [names.BUSYBOX, "sh", "-euc"], "args": [line]}
    mounts = [{"name": names.TOOLS, "mountPath": names.TOOLS_AT, "readOnly": True}, *mounts]
    return _container(crew, names.SEED, image, command, mounts)


def _steps(crew: Crew) -> tuple[list[str], list[outcome.Tree]]:
    """Return the lines that the seed runs, and what it must see for that."""
    steps: list[str] = []
    mounts: list[outcome.Tree] = []
    for place in crew.found:
        own = (
            [_copy(place.sync.to, place.mount["mountPath"], place.sync.seed)] if place.fresh and place.sync.seed else []
        )
        own += [_make(folder) for folder in place.folders()]
        if own:
            steps += own
            mounts.append(place.mount)
    for path in crew.service.persist:
        # A cache need not be in the image; what is there already is never overwritten, seed.sh sees to that.
        volume = names.PERSIST_AT + path
        copied = _copy(path, volume, ("**",))
        made = _make(f"{volume}/{names.DATA}")
        steps.append(f"if [ -d {shlex.quote(path)} ]; then {copied}; else {made}; fi")
    if crew.service.persist:
        mounts.append({"name": names.PERSIST, "mountPath": names.PERSIST_AT})
    return steps, mounts


def _copy(path: str, volume: str, patterns: Sequence[str]) -> str:
    return shlex.join([names.BUSYBOX, "sh", names.SEEDER, path, volume, *patterns])


def _make(folder: str) -> str:
    return shlex.join([names.BUSYBOX, "mkdir", "-p", folder])


def agent(crew: Crew, *, launcher: bool) -> outcome.Tree:
    """Return the agent.

    Args:
        crew: What it is made from.
        launcher: The app runs under the launcher.
    """
    roots = msgspec.json.encode([place.root for place in crew.found]).decode()
    args = ["serve", "--roots", literal.word(roots), "--state", names.KEY_AT, "--port", str(names.PORT)]
    mounts = [place.mount for place in crew.found] + [{"name": names.KEY, "mountPath": names.KEY_AT}]
    if launcher:
        args += ["--launcher", names.RUN_AT]
    for entry in crew.platform.allow_dial:
        args += ["--allow-dial", literal.word(entry)]
    mounts.append({"name": names.RUN, "mountPath": names.RUN_AT})
    made = _container(
        crew,
        names.AGENT,
        {"image": crew.platform.agent_image},
        {"command": list(_AGENT), "args": args},
        mounts,
    )
    if crew.platform.version.has_native_sidecars:
        made["restartPolicy"] = "Always"
    return made


def volumes(crew: Crew) -> list[outcome.Tree]:
    """Return the volumes that these containers and the app's mounts need."""
    made: list[outcome.Tree] = [
        {"name": names.TOOLS, "emptyDir": {"sizeLimit": names.TOOLS_LIMIT}},
        {"name": names.RUN, "emptyDir": {"sizeLimit": names.RUN_LIMIT}},
        {"name": names.KEY, "emptyDir": {"medium": "Memory", "sizeLimit": names.KEY_LIMIT}},
    ]
    made += [
        {"name": place.mount["name"], "emptyDir": {"sizeLimit": place.sync.size_limit}}
        for place in crew.found
        if place.fresh
    ]
    if crew.service.persist:
        made.append({"name": names.PERSIST, "persistentVolumeClaim": {"claimName": crew.service.claim}})
    return made


def _container(
    crew: Crew, name: str, image: outcome.Tree, command: outcome.Tree, mounts: Sequence[outcome.Tree]
) -> outcome.Tree:
    # Kubernetes mounts the token into every container that has nothing there.
    no_token = {"name": names.TOOLS, "mountPath": names.TOKEN_AT, "subPath": names.NOTHING, "readOnly": True}
    return {
        "name": name,
        **image,
        **command,
        "securityContext": _security(crew),
        "resources": {key: dict(value) for key, value in _RESOURCES.items()},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*(dict(mount) for mount in mounts), no_token],
    }


def _security(crew: Crew) -> outcome.Tree:
    made: dict[str, Any] = {"runAsUser": crew.user.uid}
    if crew.user.gid is not None:
        made["runAsGroup"] = crew.user.gid
    if crew.user.uid != 0:
        made["runAsNonRoot"] = True
    made |= {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    labels = (crew.app.get("securityContext") or {}).get("seLinuxOptions")
    if labels:
        # Files that are shared need one label, or SELinux keeps one side from the other's.
        made["seLinuxOptions"] = labels
    return made
