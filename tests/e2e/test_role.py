"""The Role that devloop ships: everything that it needs, and nothing that would let it change or learn more."""

from __future__ import annotations

import pytest

from tests.e2e import cluster, shapes, space

NEEDED = [
    *[(verb, kind) for verb in ("get", "list", "watch") for kind in ("pods", "services", "endpoints", "events")],
    *[(verb, f"{kind}.apps") for verb in ("get", "watch") for kind in ("deployments", "statefulsets", "daemonsets")],
    ("list", "replicasets.apps"),
    ("watch", "endpointslices.discovery.k8s.io"),
    ("get", "rollouts.argoproj.io"),
    ("get", "pods/log"),
    *[(verb, f"pods/{kind}") for verb in ("get", "create") for kind in ("exec", "portforward")],
]
DENIED = [
    *[(verb, "pods") for verb in ("create", "update", "patch", "delete")],
    *[(verb, "deployments.apps") for verb in ("create", "update", "patch", "delete")],
    *[("get", kind) for kind in ("secrets", "configmaps", "nodes", "serviceaccounts")],
    ("create", "pods/eviction"),
    ("update", "pods/ephemeralcontainers"),
    ("create", "serviceaccounts/token"),
]


def test_it_grants_what_devloop_asks_for(ns: space.Space) -> None:
    assert ns.developer().denied(NEEDED) == []


ADDED = {
    "patch": [
        *[("patch", f"{kind}.apps") for kind in ("deployments", "statefulsets", "daemonsets")],
        *[(verb, "leases.coordination.k8s.io") for verb in ("get", "list", "create", "update", "delete")],
        *[(verb, "persistentvolumeclaims") for verb in ("get", "list", "create", "delete")],
        ("get", "applications.argoproj.io"),
    ],
    "attach": [("patch", "pods/ephemeralcontainers"), ("create", "pods/eviction")],
}


@pytest.mark.parametrize("way", sorted(ADDED))
def test_each_way_in_has_a_role_of_its_own(ns: space.Space, way: str) -> None:
    assert ns.developer().denied(ADDED[way]) == ADDED[way]
    assert ns.developer(way).denied([*NEEDED, *ADDED[way]]) == []
    still = [each for each in DENIED if each not in {*ADDED[way], ("update", "pods/ephemeralcontainers")}]
    assert ns.developer(way).denied(still) == still


def test_it_grants_no_more(ns: space.Space) -> None:
    assert ns.developer().denied(DENIED) == DENIED


def test_it_ends_at_the_namespace(ns: space.Space) -> None:
    elsewhere = cluster.Kubectl(ns.developer().kubeconfig, "default")
    with pytest.raises(cluster.CommandError, match="Forbidden"):
        elsewhere("get", "pods")


def test_logs_and_exec_really_work_with_it(ns: space.Space, app_image: str) -> None:
    ns.apply(shapes.pod("web", [shapes.container(shapes.APP, app_image, "sh", "-c", "echo hello; exec sleep 1000")]))
    ns.ready("web")
    developer = ns.developer()
    assert developer("logs", "web") == "hello\n"
    assert space.in_container(developer, "web", "cat", told="to and fro") == "to and fro"
