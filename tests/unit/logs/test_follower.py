"""All pods of a service, as they come and go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from devloop import errors
from devloop.kube import client
from devloop.logs import follower, targets, values
from tests.unit.kube import fake_api
from tests.unit.logs import node as nodes


@contextlib.asynccontextmanager
async def following(
    api: client.Client, start: values.Start | None = None, containers: Sequence[str] = ()
) -> AsyncIterator[nodes.Got]:
    target = await targets.find(api, targets.Service("web", "deployment/web"))
    got = nodes.Got()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        made = follower.Follower(api, target, got.put, start or values.Start(), containers)
        task = group.create_task(made.run())
        yield got
        task.cancel()


async def test_pods_that_come_later_are_read_from_their_beginning(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-a"))
    node.write("web-a", b"1", b"2")
    async with following(api, values.Start(tail=1)) as got:
        await got.until(b"2")
        node.add(nodes.pod("web-b"))
        node.write("web-b", b"3", b"4")
        await got.until(b"2", b"3", b"4")


async def test_a_replaced_pod_is_read_to_its_end(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-a"))
    node.write("web-a", b"1")
    async with following(api) as got:
        await got.until(b"1")
        await node.until_followed()
        node.write("web-a", b"last")
        node.remove("web-a")
        await got.until(b"1", b"last")
        node.add(nodes.pod("web-a", "another"))
        node.logs.clear()
        node.write("web-a", b"first")
        await got.until(b"1", b"last", b"first")


async def test_only_what_is_asked_for(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-a", "", "app", "side"))
    stranger = nodes.pod("stranger")
    stranger["metadata"]["ownerReferences"] = []
    node.add(stranger)
    node.write("web-a", b"no")
    node.write("stranger", b"no", container="app")
    node.write("web-a", b"yes", container="side")
    async with following(api, containers=("side",)) as got:
        await got.until(b"yes")
        await node.until_followed()
    assert {asked["container"] for asked in node.asked} == {"side"}


async def test_that_there_is_nobody_is_said_once(api: client.Client, node: nodes.Node) -> None:
    async with following(api) as got:
        await got.until_noted("deployment/web has no pods now")
        node.add(nodes.pod("web-a"))
        node.write("web-a", b"1")
        await got.until(b"1")
        node.remove("web-a")
        async with asyncio.timeout(10):
            while len(got.notes) < 2:
                await asyncio.sleep(0.001)
    assert len(got.notes) == 2


async def test_a_missing_right_ends_it(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-a"))
    node.refusing.append(fake_api.status(403, "no", "Forbidden"))
    with pytest.raises(ExceptionGroup) as caught:
        async with following(api):
            await asyncio.sleep(10)
    assert caught.group_contains(errors.ForbiddenError)
