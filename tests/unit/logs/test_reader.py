"""One container's log through everything that may happen to it: every line once, and what cannot be had is said."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.kube import client
from devloop.logs import reader, tracker, values
from tests.unit.kube import fake_api
from tests.unit.logs import node as nodes

ORIGIN = values.Origin("web", "web-0", "uid-web-0", "app")


class Case:
    def __init__(self, api: client.Client, node: nodes.Node, start: values.Start, silence_s: float) -> None:
        self.node = node
        self.got = nodes.Got()
        if "web-0" not in node.pods:
            node.add(nodes.pod("web-0"))
        self.pod = tracker.Tracker(node.pods["web-0"])
        self.reader = reader.Reader(api, "dev", ORIGIN, self.pod, self.got.put, start, silence_s=silence_s)

    def tell(self) -> None:
        """Have the watch tell how the pod is."""
        self.pod.update(self.node.pods["web-0"])


@contextlib.asynccontextmanager
async def following(
    api: client.Client, node: nodes.Node, start: values.Start | None = None, silence_s: float = 5.0
) -> AsyncIterator[Case]:
    case = Case(api, node, start or values.Start(), silence_s)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(case.reader.follow())
        yield case
        task.cancel()


async def test_lines_come_as_they_are_printed(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node) as case:
        await case.got.until(b"one")
        node.write("web-0", b"two", b"three")
        await case.got.until(b"one", b"two", b"three")
    assert node.asked[0] == {"container": "app", "timestamps": "true", "follow": "true"}


async def test_a_cut_is_resumed_where_it_was(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"same", b"same", step_ns=0)
    async with following(api, node) as case:
        await case.got.until(b"same", b"same")
        for number in range(3):
            await node.until_followed()
            node.cut()
            node.write("web-0", b"%d" % number)
            await case.got.until(b"same", b"same", *(b"%d" % each for each in range(number + 1)))
    assert case.got.notes == [] and node.asked[-1]["sinceTime"]


async def test_a_silent_stream_is_opened_anew(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node, silence_s=0.05) as case:
        await case.got.until(b"one")
        # A kubelet that watches a file that was rotated away: what is written reaches nobody.
        log = node.log("web-0")
        log.write(node.now_ns + 1, b"two")
        await case.got.until(b"one", b"two")


async def test_the_rest_of_a_run_comes_before_the_next_one(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node) as case:
        await case.got.until(b"one")
        await node.until_followed()
        node.log("web-0").write(node.now_ns + 1, b"last words")
        node.now_ns += 2
        node.restart("web-0")
        node.cut()
        node.write("web-0", b"again")
        case.tell()
        await case.got.until(b"one", b"last words", b"again")
    assert case.got.runs == [0, 0, 1] and case.got.notes == []


async def test_a_restart_that_nobody_told_of_is_seen_before_its_lines_are_taken(
    api: client.Client, node: nodes.Node
) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node) as case:
        await case.got.until(b"one")
        await node.until_followed()
        node.log("web-0").write(node.now_ns + 1, b"last words")
        node.now_ns += 2
        node.restart("web-0", told=False)
        node.write("web-0", b"again")
        node.cut()
        await case.got.until(b"one", b"last words", b"again")
    assert case.got.runs == [0, 0, 1]


async def test_a_run_that_is_told_of_late_is_read_under_its_own_number_from_then_on(
    api: client.Client, node: nodes.Node
) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node) as case:
        await case.got.until(b"one")
        await node.until_followed()
        node.stale = copy.deepcopy(node.pods["web-0"])
        node.restart("web-0", told=False)
        node.write("web-0", b"two")
        await case.got.until(b"one", b"two")
        node.stale = None
        case.tell()
        node.write("web-0", b"three")
        await case.got.until(b"one", b"two", b"three")
    assert case.got.runs == [0, 0, 1] and case.got.notes == []


async def test_a_container_that_ends_is_read_to_its_end_and_then_waited_for(
    api: client.Client, node: nodes.Node
) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node) as case:
        await case.got.until(b"one")
        node.end_run("web-0")
        case.tell()
        await _until(lambda: case.reader._drained)
        node.restart("web-0")
        node.write("web-0", b"two")
        case.tell()
        await case.got.until(b"one", b"two")
    # What was read to its end is not read once more.
    assert not any("previous" in query for query in node.asked)


async def test_restarts_that_nobody_saw_are_said(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node) as case:
        await case.got.until(b"one")
        await node.until_followed()
        node.restart("web-0", told=False)
        node.write("web-0", b"lost")
        node.restart("web-0", told=False)
        node.write("web-0", b"two")
        node.restart("web-0", told=False)
        node.write("web-0", b"three")
        node.cut()
        await case.got.until(b"one", b"two", b"three")
    assert case.got.runs == [0, 2, 3]
    assert any("restarted 3 times" in note for note in case.got.notes)


async def test_a_run_whose_log_is_gone_is_said(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node) as case:
        await case.got.until(b"one")
        await node.until_followed()
        node.restart("web-0")
        node.logs.clear()
        node.cut()
        node.write("web-0", b"two")
        case.tell()
        await case.got.until(b"one", b"two")
    assert any("could not be read" in note for note in case.got.notes)


async def test_a_rotation_while_nobody_reads_is_said(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node) as case:
        await case.got.until(b"one")
        await node.until_followed()
        log = node.log("web-0")
        for number in range(3):
            log.write(node.now_ns + number, b"%d" % number)
        log.rotate(1)
        node.cut()
        await case.got.until(b"one", b"2")
    assert any("rotated" in note for note in case.got.notes)


async def test_it_ends_with_its_pod(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    case = Case(api, node, values.Start(), 5.0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(case.reader.follow())
        await case.got.until(b"one")
        node.write("web-0", b"last")
        node.remove("web-0")
    assert case.got.texts == [b"one", b"last"] and case.got.notes == []


async def test_another_pod_of_the_same_name_is_not_read(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    case = Case(api, node, values.Start(), 5.0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(case.reader.follow())
        await case.got.until(b"one")
        await node.until_followed()
        node.logs.clear()
        node.add(nodes.pod("web-0", "another"))
        node.write("web-0", b"not ours")
        node.cut()
    assert case.got.texts == [b"one"] and case.pod.gone


async def test_a_container_that_has_not_started_is_waited_for(api: client.Client, node: nodes.Node) -> None:
    raw = nodes.pod("web-0")
    raw["status"]["containerStatuses"] = []
    node.add(raw)
    async with following(api, node) as case:
        raw["status"]["containerStatuses"] = [nodes.running("app")]
        node.refusing.append(
            fake_api.status(400, 'container "app" in pod "web-0" is waiting to start: PodInitializing')
        )
        node.write("web-0", b"one")
        case.tell()
        await case.got.until(b"one")
    assert case.got.notes == []


@pytest.mark.parametrize(("tail", "expected"), [(2, [b"2", b"3"]), (0, []), (9, [b"1", b"2", b"3"])])
async def test_it_begins_with_the_last_lines(
    api: client.Client, node: nodes.Node, tail: int, expected: list[bytes]
) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"1", b"2", b"3")
    async with following(api, node, values.Start(tail=tail)) as case:
        await case.got.until(*expected)
        await node.until_followed()
        node.write("web-0", b"4")
        await case.got.until(*expected, b"4")


async def test_with_no_tail_of_an_empty_log_the_first_line_is_shown(api: client.Client, node: nodes.Node) -> None:
    async with following(api, node, values.Start(tail=0)) as case:
        await node.until_followed()
        node.write("web-0", b"1")
        await case.got.until(b"1")


async def test_it_begins_at_a_moment(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"1", b"2", step_ns=nodes.S)
    async with following(api, node, values.Start(since="2025-06-15T15:06:42Z")) as case:
        await case.got.until(b"2")


async def test_without_the_right_it_ends(api: client.Client, node: nodes.Node) -> None:
    words = 'pods "web-0" is forbidden: User "u" cannot get resource "pods/log" in API group "" in the namespace "dev"'
    node.refusing.append(fake_api.status(403, words, "Forbidden"))
    case = Case(api, node, values.Start(), 5.0)
    with pytest.raises(errors.ForbiddenError, match="get pods/log"):
        async with asyncio.timeout(10):
            await case.reader.follow()


async def test_a_right_that_is_taken_away_is_waited_for(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one")
    async with following(api, node) as case:
        await case.got.until(b"one")
        await node.until_followed()
        node.refusing.append(fake_api.status(403, "no", "Forbidden"))
        node.cut()
        node.write("web-0", b"two")
        await case.got.until(b"one", b"two")


async def test_what_is_read_once_ends_and_goes_on_after_a_cut(api: client.Client, node: nodes.Node) -> None:
    node.add(nodes.pod("web-0"))
    node.write("web-0", b"one", b"two")
    node.refusing.append(fake_api.status(503, "starting"))
    case = Case(api, node, values.Start(), 5.0)
    async with asyncio.timeout(10):
        await case.reader.once()
    assert case.got.texts == [b"one", b"two"]


async def test_the_run_before(api: client.Client, node: nodes.Node) -> None:
    case = Case(api, node, values.Start(), 5.0)
    with pytest.raises(errors.ClusterError) as caught:
        await case.reader.once(previous=True)
    assert caught.value.error_code == "DL0791" and caught.value.hint
    node.write("web-0", b"one")
    node.restart("web-0")
    case = Case(api, node, values.Start(), 5.0)
    await case.reader.once(previous=True)
    assert case.got.texts == [b"one"] and case.got.runs == [0]


async def test_a_log_that_was_reclaimed_is_no_line(api: client.Client, node: nodes.Node) -> None:
    case = Case(api, node, values.Start(), 5.0)
    node.refusing.append(web.Response(body=b"unable to retrieve container logs for containerd://0123"))
    with pytest.raises(errors.ClusterError) as caught:
        await case.reader.once()
    assert caught.value.error_code == "DL0792" and case.got.texts == []


async def _until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)
