"""A switch that is taken back is seen and explained."""

from __future__ import annotations

import pytest

from devloop import errors
from devloop.argocd import application, findings, fought, lease, switching
from tests.unit.argocd import samples
from tests.unit.argocd.test_switching import BRANCH, HELD, switched

SHOP = application.Reference("argocd", "shop")


def watch(*found: findings.Finding) -> tuple[fought.Watch, dict[str, object]]:
    during, entry = switched(samples.raw(), switching.Switch("feature/x"))
    namespace, _, name = HELD.partition("/")
    held = lease.Lease(name, namespace, lease.Record(lease.Kind.BRANCH, (entry,)), lease.Owner("ann@x"), "s")
    verdict = findings.Verdict(findings.worst(found), found)
    return fought.Watch(held, {SHOP: verdict}), during


def guilty() -> findings.Finding:
    return findings.Finding(
        findings.Kind.APPLICATION_SET,
        "argocd/envs",
        "its ownerReference",
        findings.Effect.REVERTS,
        findings.Answer.REFUSE,
        "writes it again",
        fix="ignoreApplicationDifferences: …",
        where="ApplicationSet argocd/envs",
    )


def test_as_the_lease_made_it() -> None:
    looking, during = watch()
    looking.take(application.read(during))
    looking.take(application.read(samples.raw("another")))
    assert not looking.is_likely


def test_changed_back_by_what_is_known_to_do_so() -> None:
    looking, _ = watch(guilty())
    assert looking.is_likely
    with pytest.raises(errors.ConflictError, match="applicationset argocd/envs") as raised:
        looking.take(application.read(samples.raw()))
    assert raised.value.error_code == "DL1028" and "ignoreApplicationDifferences" in raised.value.hint


def test_changed_by_somebody_whom_only_the_object_knows() -> None:
    looking, during = watch()
    assert isinstance(during["spec"], dict) and isinstance(during["metadata"], dict)
    managed = [
        {"manager": "devloop", "time": "2026-11-20T10:02:00Z", "fieldsV1": {"f:spec": {"f:source": {}}}},
        {"manager": "argocd-controller", "time": "2026-11-20T10:03:00Z", "fieldsV1": {"f:status": {"f:sync": {}}}},
        {"manager": "kubectl-edit", "time": "2026-11-20T10:01:00Z", "fieldsV1": {"f:spec": {"f:source": {}}}},
    ]
    source = {**during["spec"]["source"], "targetRevision": "theirs"}
    other = {
        **during,
        "metadata": {**during["metadata"], "managedFields": managed},
        "spec": {**during["spec"], "source": source},
    }
    assert BRANCH in during["metadata"]["annotations"]
    with pytest.raises(errors.ConflictError, match=r"by kubectl-edit: .*theirs"):
        looking.take(application.read(other))
