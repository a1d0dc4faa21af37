"""Whether Argo CD keeps a workload as git says, so that devloop must not change it behind its back.

Marks on the workload itself come first, since nobody needs rights for those: the tracking annotation, and the field
manager of Argo CD's controller. The label `app.kubernetes.io/instance` is on half of all charts and proves nothing by
itself: it counts together with an Application of that name, where those may be read. What is found is refused, unless
the Application is told to leave devloop's fields alone: https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.inject import marks
from devloop.kube import client, paths, workloads

CODE: Final = "DL0780"

_TRACKING: Final = "argocd.argoproj.io/tracking-id"
_INSTANCE: Final = "app.kubernetes.io/instance"
_MANAGERS: Final = ("argocd-controller", "argocd-application-controller")
_APPLICATIONS: Final = ("argoproj.io/v1alpha1", "applications")
_NAMESPACE: Final = "argocd"


class Claim(msgspec.Struct, frozen=True):
    """An Application that a workload may belong to.

    Attributes:
        application: Its name.
        namespace: Where it is, as far as the workload tells.
        proof: What shows it; empty where an Application of this name must be there to prove it.
    """

    application: str
    namespace: str = ""
    proof: str = ""


def claim_of(raw: Mapping[str, Any], reference: workloads.Reference, namespace: str) -> Claim | None:
    """Return which Application a workload belongs to, by what is written on it.

    Args:
        raw: The workload.
        reference: Its kind and name.
        namespace: Its namespace.
    """
    metadata = raw.get("metadata") or {}
    tracked = str((metadata.get("annotations") or {}).get(_TRACKING, ""))
    application, _, rest = tracked.partition(":")
    group = reference.kind.version.partition("/")[0]
    # A copy of somebody else's object carries that one's id, which Argo CD ignores as well.
    if application and rest == f"{group}/{reference.kind.name}:{namespace}/{reference.name}":
        home, _, name = application.rpartition("_")
        return Claim(name, home, f"its annotation {_TRACKING} says so")
    label = str((metadata.get("labels") or {}).get(_INSTANCE, ""))
    managers = {str(each.get("manager", "")) for each in metadata.get("managedFields") or []}
    applied = next((name for name in _MANAGERS if name in managers), "")
    if applied:
        return Claim(label or "an Application", proof=f"{applied} applied it")
    return Claim(label) if label else None


def leaves_alone(application: Mapping[str, Any], reference: workloads.Reference) -> bool:
    """Say whether an Application is set up so that devloop's change is neither a difference nor undone.

    That is: it ignores the fields of the manager `devloop`, also when it syncs, and never replaces the whole object.

    Args:
        application: The object.
        reference: The workload.
    """
    spec = application.get("spec") or {}
    options = {str(option) for option in (spec.get("syncPolicy") or {}).get("syncOptions") or []}
    if "RespectIgnoreDifferences=true" not in options or options & {"Replace=true", "Force=true"}:
        return False
    return any(
        marks.MANAGER in (rule.get("managedFieldsManagers") or [])
        and rule.get("kind") in {reference.kind.name, "*"}
        and rule.get("name") in {None, "", reference.name}
        for rule in spec.get("ignoreDifferences") or []
    )


async def check(
    api: client.Client, raw: Mapping[str, Any], reference: workloads.Reference, namespace: str, home: str = ""
) -> None:
    """Refuse a workload that Argo CD keeps.

    Args:
        api: The cluster.
        raw: The workload.
        reference: Its kind and name.
        namespace: Its namespace.
        home: The namespace of the Applications, where the project says it.

    Raises:
        RefusedError: It belongs to an Application.
    """
    claim = claim_of(raw, reference, namespace)
    if claim is None:
        return
    found = await _application(api, claim, home)
    if found is None and not claim.proof:
        return
    if found is not None and leaves_alone(found, reference):
        return
    proof = claim.proof or f"its label {_INSTANCE} says so, and there is such an Application"
    raise errors.RefusedError(
        f"{reference} belongs to the Application {claim.application} of Argo CD: {proof}; a patch would make it "
        "OutOfSync, or be undone",
        hint="put the agent into its manifests with `devloop inject`; or let the Application ignore devloop: "
        "ignoreDifferences with managedFieldsManagers: [devloop], and the sync option RespectIgnoreDifferences=true",
        code=CODE,
    )


async def _application(api: client.Client, claim: Claim, home: str) -> Mapping[str, Any] | None:
    """Return the Application, or None where there is none, or none that this user may read."""
    version, plural = _APPLICATIONS
    for namespace in dict.fromkeys((claim.namespace, home, _NAMESPACE, api.namespace)):
        if not namespace:
            continue
        try:
            return await api.get(paths.of(version, plural, namespace, claim.application))
        except (errors.NotThereError, errors.ForbiddenError):
            continue
    return None
