"""Which container is meant, and as which user it runs: the two things that are never guessed."""

from __future__ import annotations

import difflib
from typing import Final

import msgspec

from devloop.podspec import names, outcome

CONTAINER_CODE: Final = "DL0802"
USER_CODE: Final = "DL0803"

# runAsUser and runAsGroup: IsValidUserID in k8s.io/apimachinery, 0 to 2^31-1.
_MAX_ID: Final = 2**31 - 1


class User(msgspec.Struct, frozen=True):
    """Who the app runs as.

    Attributes:
        uid: The UID.
        gid: The GID; None where nobody tells.
    """

    uid: int
    gid: int | None = None


def container(pod: outcome.Tree, wanted: str) -> int:
    """Return the index of the container that a service means.

    Args:
        pod: A checked pod template without devloop's own containers.
        wanted: Its name; empty for the only one.

    Raises:
        Refused: There is no such container, or there are several to choose from.
    """
    known = [each["name"] for each in pod["spec"]["containers"]]
    at = ("spec", "containers")
    listed = ", ".join(known)
    if wanted in known:
        return known.index(wanted)
    if wanted:
        near = difflib.get_close_matches(wanted, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {listed}"
        inits = [each["name"] for each in pod["spec"].get("initContainers") or []]
        what = "an init container, which ends before the app runs" if wanted in inits else "not in the pod"
        raise outcome.Refused(CONTAINER_CODE, f"the container {wanted} is {what}", hint, at)
    if len(known) > 1:
        raise outcome.Refused(
            CONTAINER_CODE,
            f"the pod has {len(known)} containers: {listed}",
            f"say which one is yours, for example container: {known[0]}",
            at,
        )
    return 0


def user(pod: outcome.Tree, index: int, uid: int | None, gid: int | None) -> User:
    """Return who the app runs as: what the container says, else the pod, else devloop.yaml.

    Args:
        pod: A checked pod template.
        index: The app's container.
        uid: What `run_as` says.
        gid: Likewise.

    Raises:
        Refused: Nobody says, or it is no user.
    """
    at: outcome.Loc = ("spec", "containers", index, "securityContext")
    own = pod["spec"]["containers"][index].get("securityContext") or {}
    whole = pod["spec"].get("securityContext") or {}
    found_uid = _number(own, "runAsUser", at) or _number(whole, "runAsUser", ("spec", "securityContext"))
    found_gid = _number(own, "runAsGroup", at) or _number(whole, "runAsGroup", ("spec", "securityContext"))
    # run_as: 1000:1000 speaks of one user; its group says nothing about another one.
    if found_uid is None and uid is not None:
        found_uid = (uid,)
    if found_gid is None and gid is not None and found_uid == (uid,):
        found_gid = (gid,)
    if found_uid is None:
        raise outcome.Refused(
            USER_CODE,
            "nobody says which user the app runs as, and what the agent writes must belong to it",
            "add run_as: UID or UID:GID to the service (`kubectl exec … -- id` shows it), or runAsUser to the pod",
            ("spec", "containers", index),
        )
    return User(found_uid[0], found_gid[0] if found_gid else None)


def _number(holder: outcome.Tree, key: str, at: outcome.Loc) -> tuple[int] | None:
    value = holder.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_ID:
        raise outcome.Refused(USER_CODE, f"{key} is {value!r}, which is no user of Linux", "write a number", (*at, key))
    return (value,)


def is_clear(pod: outcome.Tree) -> None:
    """Refuse a pod that already has something named like devloop's parts.

    Args:
        pod: A checked pod template from which an earlier injection was taken out.

    Raises:
        Refused: Its annotation was lost, or somebody else uses the names.
    """
    spec = pod["spec"]
    for key in ("containers", "initContainers", "volumes"):
        for index, item in enumerate(spec.get(key) or []):
            if names.is_ours(item["name"]):
                raise outcome.Refused(
                    "DL0804",
                    f"{item['name']} is there already, and the annotation {names.ANNOTATION} that tells how to undo it"
                    " is not",
                    "inject the original manifest, without devloop's parts",
                    ("spec", key, index),
                )
