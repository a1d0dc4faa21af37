"""Logs read once, by time; what is in the way of one is no trouble of the others."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.kube import client
from devloop.logs import gather, targets, values
from tests.unit.kube import fake_api
from tests.unit.logs import node as nodes


async def gathered(api: client.Client, node: nodes.Node, start: values.Start | None = None, **more: Any) -> nodes.Got:
    target = await targets.find(api, targets.Service("web", "deployment/web"))
    there = [(target, raw) for raw in await targets.pods_of(api, target)]
    got = nodes.Got()
    await gather.gather(api, there, got.put, start or values.Start(), **more)
    return got


async def test_lines_of_all_containers_are_in_the_order_of_time(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-a", "", "app", "side", "devloop-agent"))
    node.add(nodes.pod("web-b"))
    node.write("web-a", b"1")
    node.write("web-b", b"2")
    node.write("web-a", b"3", container="side")
    node.write("web-a", b"hidden", container="devloop-agent")
    node.write("web-a", b"4")
    assert (await gathered(api, node)).texts == [b"1", b"2", b"3", b"4"]
    assert (await gathered(api, node, containers=("side",))).texts == [b"3"]
    assert (await gathered(api, node, values.Start(tail=1))).texts == [b"2", b"3", b"4"]


async def test_the_runs_before_of_those_that_have_one(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-a"))
    node.add(nodes.pod("web-b"))
    with pytest.raises(errors.ClusterError) as caught:
        await gathered(api, node, previous=True)
    assert caught.value.error_code == "DL0791"
    node.write("web-a", b"before")
    node.restart("web-a")
    got = await gathered(api, node, previous=True)
    assert got.texts == [b"before"] and got.notes == []


async def test_one_that_cannot_be_read_is_a_remark(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-a"))
    node.add(nodes.pod("web-b"))
    node.write("web-a", b"1")
    node.write("web-b", b"1")
    node.refusing.append(fake_api.status(400, 'container "app" in pod "web-a" is waiting to start: PodInitializing'))
    got = await gathered(api, node)
    assert got.texts == [b"1"] and any("not started yet: PodInitializing" in note for note in got.notes)


async def test_a_missing_right_is_told_once(api: client.Client, node: nodes.Node) -> None:
    for name in "abc":
        node.add(nodes.pod(f"web-{name}"))
        node.refusing.append(fake_api.status(403, "no", "Forbidden"))
    with pytest.raises(errors.ForbiddenError):
        await gathered(api, node)
