"""The forwards of a watch: what is declared listens, what is asked for is added, and all of it is shown."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from devloop import errors
from devloop.daemon import ways
from devloop.sync import events
from tests.unit.daemon import carried
from tests.unit.ports import loopback


@contextlib.asynccontextmanager
async def running(project: carried.Project) -> AsyncIterator[None]:
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(project.forwards.run())
        await carried.until(lambda: project.forwards._group is not None)
        yield
        task.cancel()


async def ask(port: int, said: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(said)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_what_is_declared_listens_and_is_carried() -> None:
    one, two = loopback.free_port(), loopback.free_port()
    project = carried.Project(web={"ports": [f"{one}:80"]}, forwards=[f"{two}:db:5432"])
    async with loopback.serving(loopback.echo) as port, running(project):
        await carried.until(lambda: len(project.told) == 2)
        assert sorted(project.states()) == sorted(
            [(f"localhost:{one}", "pod port 80", "listening"), (f"localhost:{two}", "db:5432", "listening")]
        )
        assert [row.state for row in project.forwards.rows()] == ["waiting", "waiting"]
        project.pods = [carried.pod("web-1")]
        project.replica().link(carried.Agent(port))
        project.forwards.look()
        assert await ask(one, b"hello") == b"hello" and await ask(two, b"db") == b"db"
        first, second = project.forwards.rows()
        assert (first.state, first.by, first.target, first.sent_bytes) == ("listening", "agent", "web-1", 5)
        assert (first.kind, first.service, second.kind, second.to) == ("ports", "web", "forwards", "db:5432")


async def test_a_connection_waits_for_the_link_of_an_agent_that_comes() -> None:
    one = loopback.free_port()
    project = carried.Project(web={"ports": [f"{one}:80"]})
    async with loopback.serving(loopback.echo) as port, running(project), asyncio.TaskGroup() as group:
        await carried.until(lambda: project.told)
        project.forwards.look()
        asking = group.create_task(ask(one, b"patient"))
        await carried.until(lambda: project.forwards.rows()[0].held == 1)
        project.pods = [carried.pod("web-1")]
        # The tunnel tells by itself.
        project.replica().link(carried.Agent(port))
        assert await asking == b"patient"


async def test_on_this_machine_the_apps_own_port_is_there_already() -> None:
    one = loopback.free_port()
    project = carried.Project(here={"ports": [str(one), f"{loopback.free_port()}:{one}"], "reverse": [str(one)]})
    async with loopback.serving(loopback.echo) as port, running(project):
        project.replica("/t").link(carried.Agent(port))
        await carried.until(lambda: len(project.told) == 3)
        assert await ask(project.forwards.entries[1].forward.local_first, b"x") == b"x"
        states = [row.state for row in project.forwards.rows()]
        assert states == ["already there", "listening", "already there"]
        with socket.socket() as app:
            app.bind(("127.0.0.1", one))


async def test_a_taken_port_is_told_with_its_code_and_the_others_go_on() -> None:
    one = loopback.free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        project = carried.Project(web={"ports": [f"{taken}:80", f"{one}:80", f"{taken}-{taken + 20}:81"]})
        async with running(project):
            await carried.until(lambda: len(project.told) == 3)
            failed, fine, ranged = project.forwards.rows()
            assert (failed.state, failed.code) == ("failed", "DL0370") and "taken" in failed.error
            assert fine.state == "waiting" and ranged.local != f"localhost:{taken}"
            told = [each for each in project.told if isinstance(each, events.ForwardChanged)]
            assert any("the first free one of" in each.detail for each in told)
            assert any(each.state == "failed" and each.hint for each in told)


async def test_an_address_that_others_reach_is_warned_of() -> None:
    project = carried.Project(web={"ports": [f"0.0.0.0:{loopback.free_port()}:80"]})
    async with running(project):
        await carried.until(lambda: len(project.told) == 2)
        warned = next(each for each in project.told if isinstance(each, events.Notice))
        assert warned.level is events.Level.WARNING and "everybody who reaches 0.0.0.0" in warned.message


async def test_reverse_ports_are_asked_of_agents_and_shown() -> None:
    project = carried.Project(web={"reverse": ["9003"]})
    agent = carried.Agent()
    async with running(project):
        assert project.forwards.rows()[0].state == "waiting"
        project.replica().link(agent)
        project.forwards.look()
        await carried.until(lambda: agent.listening)
        await carried.until(lambda: project.told)
        (row,) = project.forwards.rows()
        assert (row.kind, row.local, row.to, row.state, row.target) == (
            "reverse",
            "localhost:9003",
            "pod port 9003",
            "listening",
            "web-1",
        )


async def test_ports_are_added_and_removed() -> None:
    one, two = loopback.free_port(), loopback.free_port()
    project = carried.Project()
    handlers = project.forwards.handlers()
    async with loopback.serving(loopback.echo) as port, running(project):
        project.pods = [carried.pod("web-1")]
        project.replica().link(carried.Agent(port))
        added = await handlers["ports-add"]({"ports": [f"{one}:80"], "service": "web"})
        assert added[0]["local"] == f"localhost:{one}" and added[0]["added"]
        assert await ask(one, b"x") == b"x"
        await handlers["ports-add"]({"ports": [f"{two}:db:5432"]})
        assert [row["to"] for row in await handlers["ports"]({})] == ["pod port 80", "db:5432"]
        reader, writer = await asyncio.open_connection("127.0.0.1", one)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        assert await handlers["ports-rm"]({"ports": [str(one)]}) == [{"local": f"localhost:{one}", "to": "pod port 80"}]
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        await handlers["ports-rm"]({"ports": [f"localhost:{two}"]})
        assert project.forwards.rows() == ()
        assert project.states()[-1] == (f"localhost:{two}", "db:5432", "removed")


@pytest.mark.parametrize(
    ("text", "service", "words"),
    [
        ("53/udp", "web", "UDP"),
        ("db:53/udp", "web", "UDP"),
        ("x", "web", "not a port"),
        ("http://db:80", "", "not a port|not the name"),
        ("8080:80", "", "which service"),
        ("8080:80", "wep", "not being watched"),
        ("99999", "web", "not a port"),
        ("Web_:80", "", "not the name of a service"),
    ],
)
async def test_what_cannot_be_added_is_told(text: str, service: str, words: str) -> None:
    project = carried.Project()
    async with running(project):
        with pytest.raises(errors.UsageError, match=words):
            await project.forwards.add(text, service)
        assert project.forwards.rows() == ()


async def test_a_port_that_is_taken_or_forwarded_already_is_not_added() -> None:
    one = loopback.free_port()
    project = carried.Project(web={"ports": [f"{one}:80"]})
    async with running(project):
        await carried.until(lambda: project.told)
        with pytest.raises(errors.UsageError, match="forwarded already"):
            await project.forwards.add(f"{one}:81", "web")
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with pytest.raises(errors.LocalError, match="taken"):
                await project.forwards.add(f"{other.getsockname()[1]}:80", "web")
        assert len(project.forwards.rows()) == 1
        with pytest.raises(errors.UsageError, match="nothing is forwarded at 1"):
            await project.forwards.remove("1")


async def test_a_proxy_is_there_as_long_as_it_is_held() -> None:
    project = carried.Project()
    agent = carried.Agent()
    async with loopback.serving(loopback.echo) as port, running(project):
        agent.port = port
        project.replica().link(agent)
        async with project.forwards.proxy_asked({"port": loopback.free_port()}) as found:
            reader, writer = await asyncio.open_connection(found["host"], found["port"])
            writer.write(b"CONNECT web:80 HTTP/1.1\r\n\r\nhello")
            writer.write_eof()
            assert (await reader.read()).endswith(b"\r\n\r\nhello")
            writer.close()
            assert agent.asked == [("web", 80)]
            (row,) = project.forwards.rows()
            assert (row.kind, row.state, row.total) == ("proxy", "listening", 1)
            with pytest.raises(errors.LocalError, match="taken"):
                async with project.forwards.proxied((found["port"], found["port"])):
                    pass
        assert project.forwards.rows() == ()
        assert project.states()[-1][::2] == (f"localhost:{found['port']}", "removed")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", found["port"])


@pytest.mark.parametrize("port", [-1, 70000, "1080"])
async def test_a_proxy_is_on_a_port(port: Any) -> None:
    project = carried.Project()
    async with running(project):
        with pytest.raises(errors.UsageError):
            async with project.forwards.proxy_asked({"port": port}):
                pass


async def test_nothing_is_added_before_the_start_and_after_the_end() -> None:
    project = carried.Project()
    with pytest.raises(errors.LocalError, match="at the moment"):
        await project.forwards.add("8080:80", "web")


@contextlib.asynccontextmanager
async def connected(on_change: Callable[[], None]) -> AsyncIterator[ways.Cluster]:
    yield carried.Cluster(PORT[0])


PORT: list[int] = [0]


async def test_without_an_agent_the_cluster_carries() -> None:
    one = loopback.free_port()
    project = carried.Project(forwards=[f"{one}:db:5432"], connect=connected)
    async with loopback.serving(loopback.echo) as port:
        PORT[0] = port
        async with running(project):
            await carried.until(lambda: project.ways.cluster)
            await carried.until(lambda: project.told)
            assert await ask(one, b"x") == b"x"
            assert project.forwards.rows()[0].by == "port-forward"
        assert project.ways.cluster is None


@contextlib.asynccontextmanager
async def unconnected(on_change: Callable[[], None]) -> AsyncIterator[ways.Cluster]:
    if not PORT[1:]:
        raise errors.KubeconfigError("there is no kubeconfig", hint="make one")
    yield carried.Cluster()


async def test_without_a_cluster_that_is_told_and_the_ports_stay_open() -> None:
    project = carried.Project(web={"ports": [f"{loopback.free_port()}:80"]}, connect=unconnected)
    async with running(project):
        await carried.until(lambda: any(isinstance(each, events.Notice) for each in project.told))
        await carried.until(lambda: project.states())
        assert project.forwards.rows()[0].state == "waiting"
