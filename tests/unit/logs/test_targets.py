"""Which containers of which pods are meant."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.kube import client, workloads
from devloop.logs import targets
from tests.unit.logs import node as nodes

SERVICE = targets.Service("web", "deployment/web")


def injected() -> dict[str, Any]:
    raw = nodes.pod("web-0", "", "app", "devloop-agent")
    raw["spec"]["initContainers"] = [{"name": "devloop-tools"}, {"name": "migrate"}, {"name": "devloop-seed"}]
    raw["spec"]["ephemeralContainers"] = [{"name": "devloop-agent-x2"}, {"name": "debugger"}]
    return raw


def test_all_but_devloops_own_are_shown() -> None:
    assert targets.shown(injected(), ()) == ["migrate", "app", "debugger"]


def test_devloops_own_are_shown_where_they_are_named() -> None:
    assert targets.shown(injected(), ("devloop-agent", "devloop-seed", "none")) == ["devloop-seed", "devloop-agent"]


async def test_the_pods_of_a_workload_the_oldest_first(api: client.Client, node: nodes.Node) -> None:
    for name, created in (("web-b", "2"), ("web-c", "1"), ("web-a", "2")):
        raw = nodes.pod(name)
        raw["metadata"]["creationTimestamp"] = created
        node.add(raw)
    stranger = nodes.pod("other")
    stranger["metadata"]["ownerReferences"] = []
    node.add(stranger)
    target = await targets.find(api, SERVICE)
    assert target.declared == ("devloop-tools", "app") and target.query() == {"labelSelector": "app=web"}
    found = [raw["metadata"]["name"] for raw in await targets.pods_of(api, target)]
    assert found == ["web-c", "web-a", "web-b"]


async def test_labels_need_no_workload(api: client.Client, node: nodes.Node) -> None:
    target = await targets.find(api, targets.Service("web", labels={"app": "web"}))
    assert target.wanted == workloads.of_labels({"app": "web"}) and target.declared == ()
    assert target.service.whose == "the selector of web"


async def test_a_workload_that_is_not_there(api: client.Client, node: nodes.Node) -> None:
    with pytest.raises(errors.NotThereError):
        await targets.find(api, targets.Service("web", "deployment/wep"))


def test_a_container_that_nobody_has_is_refused_with_those_that_are_there() -> None:
    target = targets.Target(SERVICE, workloads.of_labels({}), ("app",))
    targets.check_containers(("app", "side"), [target], [nodes.pod("web-0", "", "side")])
    with pytest.raises(errors.NotThereError) as caught:
        targets.check_containers(("sied",), [target], [nodes.pod("web-0", "", "side")])
    assert caught.value.error_code == "DL0802" and "side" in caught.value.hint
    with pytest.raises(errors.NotThereError) as caught:
        targets.check_containers(("zzz",), [target], [nodes.pod("web-0", "", "side")])
    assert caught.value.hint == "there are app, side"


def test_where_nothing_is_known_nothing_is_refused() -> None:
    targets.check_containers(("any",), [targets.Target(SERVICE, workloads.of_labels({}))], [])


def test_a_service_without_pods() -> None:
    error = targets.nobody(targets.Target(SERVICE, workloads.of_labels({})))
    assert error.error_code == "DL0760" and "deployment/web" in error.message and "--follow" in error.hint
