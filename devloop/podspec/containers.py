"""The containers that devloop adds: the tools, the seed, the agent.

Each of them passes Pod Security `restricted` wherever the app itself does: the app's own user, no capabilities, a
read-only root, no token of the service account. None of them asks for anything of the node.
"""

from __future__ import annotations

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

    It runs the app's image by the tools' busybox, so the image needs no shell. Its arguments are groups between
    `--`: `FROM TO PATTERN…` copies, `--once FROM TO PATTERN…` copies where TO is empty, `--folder PATH` makes a folder.
    """
    groups, mounts = _seeds(crew)
    if not groups:
        return None
    image = {key: crew.app[key] for key in ("image", "imagePullPolicy") if crew.app.get(key)}
    words = [word for group in groups for word in ("--", *group)][1:]
    command = {"command": [names.BUSYBOX, "sh", names.SEEDER], "args": literal.words(words)}
    mounts = [{"name": names.TOOLS, "mountPath": names.TOOLS_AT, "readOnly": True}, *mounts]
    return _container(crew, names.SEED, image, command, mounts)


def _seeds(crew: Crew) -> tuple[list[tuple[str, ...]], list[outcome.Tree]]:
    groups: list[tuple[str, ...]] = []
    mounts: list[outcome.Tree] = []
    for place in crew.found:
        own: list[tuple[str, ...]] = [("--folder", folder) for folder in place.folders()]
        if place.fresh and place.sync.seed:
            own.append((place.sync.to, place.root.data, *place.sync.seed))
        if own:
            groups += own
            mounts.append(place.mount)
    if crew.service.persist:
        groups += [("--once", path, names.PERSIST_AT + path, "**") for path in crew.service.persist]
        mounts.append({"name": names.PERSIST, "mountPath": names.PERSIST_AT})
    return groups, mounts


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
