"""Carriers without an agent: a pod's loopback, a Service's ready pod, and why not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from devloop import errors
from devloop.kube import client, services
from devloop.ports import kubecarrier
from tests.unit.kube import fake_api, test_portchannel, test_services


@pytest.fixture
async def server() -> AsyncIterator[fake_api.FakeApi]:
    async with fake_api.serving() as running:
        yield running


@pytest.fixture
async def forwards(server: fake_api.FakeApi) -> AsyncIterator[kubecarrier.Forwards]:
    async with client.connect(server.cluster()) as api:
        yield kubecarrier.Forwards(api)


async def test_a_pods_loopback_is_dialled(server: fake_api.FakeApi, forwards: kubecarrier.Forwards) -> None:
    server.on("GET", test_portchannel.PATH, test_portchannel.Pod())
    carrier = kubecarrier.PodCarrier(forwards, "dev", "web")
    stream = await carrier.dial("127.0.0.1", 8000, timeout_s=5)
    await stream.write(b"x")
    assert await stream.read() == b"x"
    stream.reset()
    with pytest.raises(errors.DialError, match="without an agent") as caught:
        await carrier.dial("db", 5432, timeout_s=5)
    assert caught.value.why is errors.Refused.NAME


async def test_a_refusal_is_one_where_it_is_waited_for(
    server: fake_api.FakeApi, forwards: kubecarrier.Forwards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubecarrier, "CONFIRM_S", 10.0)
    server.on("GET", test_portchannel.PATH, test_portchannel.Pod(test_portchannel.REFUSED))
    with pytest.raises(errors.DialError) as caught:
        await kubecarrier.PodCarrier(forwards, "dev", "web", confirm=True).dial("::1", 8000, timeout_s=5)
    assert caught.value.why is errors.Refused.PORT
    stream = await kubecarrier.PodCarrier(forwards, "dev", "web").dial("::1", 8000, timeout_s=5)
    with pytest.raises(ConnectionResetError):
        await stream.read()


async def test_a_service_is_dialled_by_its_name(server: fake_api.FakeApi, forwards: kubecarrier.Forwards) -> None:
    ready = test_services.slice_(test_services.endpoint("web"))
    server.on("GET", test_services.SERVICE, fake_api.giving(test_services.service()))
    server.on("GET", test_services.SLICES, fake_api.giving(test_services.listing(ready)))
    server.on("GET", test_portchannel.PATH, test_portchannel.Pod())
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []
        resolver = services.Resolver(forwards.api, lambda work: tasks.append(group.create_task(work)))
        carrier = kubecarrier.ServiceCarrier(forwards, resolver, "dev")
        stream = await carrier.dial("web.dev.svc", 80, timeout_s=5)
        await stream.write(b"x")
        assert await stream.read() == b"x"
        stream.reset()
        for host, port, why in (
            ("web", 81, errors.Refused.NAME),
            ("web", 53, errors.Refused.UNREACHABLE),
            ("nowhere", 80, errors.Refused.NAME),
            ("10.0.0.1", 80, errors.Refused.NAME),
        ):
            with pytest.raises(errors.DialError) as caught:
                await carrier.dial(host, port, timeout_s=5)
            assert caught.value.why is why and caught.value.message
        for task in tasks:
            task.cancel()


async def test_idle_connections_are_kept_awake(
    server: fake_api.FakeApi, forwards: kubecarrier.Forwards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubecarrier, "AWAKE_S", 0.01)
    pod = test_portchannel.Pod()
    server.on("GET", test_portchannel.PATH, pod)
    stream = await kubecarrier.PodCarrier(forwards, "dev", "web").dial("127.0.0.1", 8000, timeout_s=5)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(forwards.run())
        while pod.pings < 3:
            await asyncio.sleep(0)
        task.cancel()
    stream.reset()


async def test_after_each_one_a_connection_is_ready_for_the_next(
    server: fake_api.FakeApi, forwards: kubecarrier.Forwards
) -> None:
    spare, dialled = Peers(fake_api.refusing(403)), Peers(test_portchannel.Pod())
    server.on("GET", "/version", spare)
    server.on("GET", test_portchannel.PATH, dialled)
    carrier = kubecarrier.PodCarrier(forwards, "dev", "web")
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(forwards.run())
        for number in (1, 2, 3):
            stream = await carrier.dial("127.0.0.1", 8000, timeout_s=5)
            while len(spare.ports) < number:
                await asyncio.sleep(0.01)
            stream.reset()
        task.cancel()
    # Where an answer is not read yet when the next one is dialled, that one has to make a connection of its own.
    assert len({*dialled.ports}) == 3 and {*dialled.ports[1:]} & {*spare.ports}


class Peers:
    """Answers like another, and remembers from where it was asked."""

    def __init__(self, answer: fake_api.Handler) -> None:
        self.answer = answer
        self.ports: list[int] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.ports.append(request.transport.get_extra_info("peername")[1])
        return await self.answer(request)
