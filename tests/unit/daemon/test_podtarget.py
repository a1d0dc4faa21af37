"""The way to an agent in a pod: the key, the connection, and what closed ways become."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from devloop import errors
from devloop.daemon import podtarget
from devloop.kube import client, execute, pods, portforward
from devloop.transport import dial
from tests.unit.kube import test_pods

API = cast(client.Client, None)


def pod(**how: Any) -> pods.Pod:
    return pods.view(test_pods.raw("web-5d-a", **how))


class Cluster:
    """Stands in for exec, port-forward and the dial, each of which has tests of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.results: list[execute.Result | errors.DevloopError] = [execute.Result(0, b"the key", b"")]
        self.ran: list[tuple[execute.Where, tuple[str, ...]]] = []
        self.refuse: errors.DevloopError | None = None
        self.forwards: list[tuple[str, str, int]] = []
        self.closed = 0
        monkeypatch.setattr(execute, "run", self.run)
        monkeypatch.setattr(portforward, "forward", self.forward)
        monkeypatch.setattr(dial, "over", self.over)
        monkeypatch.setattr(podtarget, "START_WAIT_S", 0.0)

    async def run(
        self, api: object, where: execute.Where, argv: Sequence[str], *, timeout_s: float = 0.0
    ) -> execute.Result:
        self.ran.append((where, tuple(argv)))
        found = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(found, errors.DevloopError):
            raise found
        return found

    @contextlib.asynccontextmanager
    async def forward(self, api: object, namespace: str, name: str, port: int) -> AsyncIterator[SimpleNamespace]:
        self.forwards.append((namespace, name, port))
        if self.refuse is not None:
            raise self.refuse
        yield SimpleNamespace(port=port)
        self.closed += 1

    async def over(self, stream: SimpleNamespace, name: str) -> tuple[int, str]:
        return stream.port, name


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


async def test_the_key_is_read_by_exec_and_the_link_goes_through_one_forward(cluster: Cluster) -> None:
    target = podtarget.PodTarget(API, "dev", pod())
    async with target.open() as (connection, key):
        assert key == b"the key"
        assert cast(Any, connection) == (podtarget.PORT, "pod web-5d-a")
        assert cluster.closed == 0
    assert cluster.ran == [(execute.Where("dev", "web-5d-a", "devloop-agent"), podtarget.KEY_COMMAND)]
    assert cluster.forwards == [("dev", "web-5d-a", podtarget.PORT)]
    assert cluster.closed == 1


async def test_an_agent_that_is_just_being_started_is_asked_again(cluster: Cluster) -> None:
    none_yet = execute.Result(1, b"", b"error[DL0604]: no key at /devloop/key/key\n")
    cluster.results = [none_yet, none_yet, execute.Result(0, b"late", b"")]
    async with podtarget.PodTarget(API, "dev", pod()).open() as (_, key):
        assert key == b"late"


async def test_an_agent_without_a_key_is_a_link_that_may_open_later(cluster: Cluster) -> None:
    cluster.results = [execute.Result(1, b"", b"first\nno such module\n")]
    with pytest.raises(errors.LinkError, match="no such module") as caught:
        async with podtarget.PodTarget(API, "dev", pod()).open():
            pass
    assert caught.value.error_code == "DL0762"
    assert len(cluster.ran) == podtarget.START_TRIES + 1


async def test_a_try_waits_for_the_agent_and_goes_on_when_it_runs(cluster: Cluster) -> None:
    target = podtarget.PodTarget(API, "dev", pod(agent={}))
    opened = asyncio.Event()

    async def use() -> None:
        async with target.open():
            opened.set()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(use())
        await asyncio.sleep(0)
        assert not task.done() and not cluster.ran
        target.update(pod())
        await opened.wait()


async def test_an_agent_that_does_not_come_is_told_with_its_state(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podtarget, "PATIENCE_S", 0.01)
    target = podtarget.PodTarget(API, "dev", pod(agent=test_pods.PULLING))
    with pytest.raises(errors.LinkError, match=r"^the agent waits: ImagePullBackOff"):
        async with target.open():
            pass


@pytest.mark.parametrize(
    "error",
    [errors.ForwardError("cut"), errors.UnreachableError("gone"), errors.NotThereError("no such pod", status=404)],
)
async def test_a_way_that_is_closed_for_now_may_open_later(cluster: Cluster, error: errors.ClusterError) -> None:
    cluster.refuse = error
    with pytest.raises(errors.LinkError, match=error.message) as caught:
        async with podtarget.PodTarget(API, "dev", pod()).open():
            pass
    assert caught.value.error_code == error.error_code


async def test_a_missing_right_is_final_unless_it_was_there_before(cluster: Cluster) -> None:
    target = podtarget.PodTarget(API, "dev", pod())
    cluster.refuse = errors.ForbiddenError("you may not", status=403)
    with pytest.raises(errors.ForbiddenError):
        async with target.open():
            pass
    cluster.refuse = None
    async with target.open():
        pass
    cluster.refuse = errors.ForbiddenError("you may not", status=403)
    with pytest.raises(errors.LinkError, match="you may not"):
        async with target.open():
            pass


async def test_a_command_runs_in_the_apps_container_in_its_folder_with_its_variables(cluster: Cluster) -> None:
    cluster.results = [execute.Result(3, b"out", b"err")]
    target = podtarget.PodTarget(API, "dev", pod())
    ran = await target.container.run(["pip", "install"], cwd="/app", env={"A": "b c"}, timeout_s=5.0)
    assert (ran.status, ran.stdout, ran.stderr) == (3, b"out", b"err")
    ((where, argv),) = cluster.ran
    assert where == execute.Where("dev", "web-5d-a", "app")
    assert argv == ("sh", "-c", 'cd "$0" && exec "$@"', "/app", "env", "A=b c", "pip", "install")


async def test_of_several_containers_the_service_must_name_one(cluster: Cluster) -> None:
    made = test_pods.raw("web-5d-a")
    made["spec"]["containers"].append({"name": "proxy"})
    several = pods.view(made)
    with pytest.raises(errors.UsageError, match="app, proxy"):
        await podtarget.PodTarget(API, "dev", several).run(["true"], cwd="/", env={}, timeout_s=5.0)
    await podtarget.PodTarget(API, "dev", several, "proxy").run(["true"], cwd="/", env={}, timeout_s=5.0)
    assert cluster.ran[-1][0].container == "proxy"


async def test_an_attached_agent_has_its_key_elsewhere(cluster: Cluster) -> None:
    made = test_pods.raw("web-5d-a", agent=None)
    made["spec"]["ephemeralContainers"] = [{"name": "devloop-agent-2"}]
    made["status"]["ephemeralContainerStatuses"] = [{"name": "devloop-agent-2", "state": test_pods.RUNNING}]
    async with podtarget.PodTarget(API, "dev", pods.view(made)).open():
        pass
    (where, argv) = cluster.ran[0]
    assert (where.container, argv[-1]) == ("devloop-agent-2", "/tmp/devloop")
