"""Commands in a container: their output, their status, and what keeps them from running."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from devloop import errors
from devloop.kube import client, execute
from tests.unit.kube import fake_api

WHERE = execute.Where("dev", "web", "app")
PATH = "/api/v1/namespaces/dev/pods/web/exec"
OK = b"\x03" + json.dumps({"status": "Success"}).encode()


def status(told: object) -> bytes:
    return b"\x03" + json.dumps(told).encode()


def exited(code: int) -> bytes:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return status({"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}})


def sending(
    *messages: bytes, protocols: tuple[str, ...] = ("v4.channel.k8s.io",), hold: asyncio.Event | None = None
) -> fake_api.Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=protocols)
        await websocket.prepare(request)
        await websocket.ping()
        for message in messages:
            await websocket.send_bytes(message)
        if hold is not None:
            await hold.wait()
        await websocket.close()
        return websocket

    return answer


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v5.channel.k8s.io"])
async def test_output_is_bytes_and_the_status_is_the_commands(
    server: fake_api.FakeApi, api: client.Client, protocol: str
) -> None:
    every = bytes(range(256))
    messages = [b"\x01", b"\x01" + every, b"\x02e\xff", b"\x01" + every, exited(7)]
    server.on("GET", PATH, sending(*messages, protocols=(protocol,)))
    assert await execute.run(api, WHERE, ["cat", "a b", "--x=ü"]) == execute.Result(7, every * 2, b"e\xff")
    query = server.requests[0].query
    assert query.getall("command") == ["cat", "a b", "--x=ü"] and query["container"] == "app" and "stdin" not in query


async def test_a_success_is_zero(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, sending(OK))
    assert await execute.run(api, WHERE, ["true"]) == execute.Result(0, b"", b"")


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (
            [status({"status": "Failure", "message": 'exec: "x": executable file not found in $PATH'})],
            "could not be run",
        ),
        ([b"\x03garbage"], "did not say how"),
        ([b"\x03[]"], "did not say how"),
        ([exited(1).replace(b'"1"', b'"one"')], "did not say how"),
        ([b"\x01half"], "ended before"),
        ([b"\x01" + b"x" * 60, b"\x02" + b"x" * 60], "more than 100 bytes"),
        ([b"\x01" + b"x" * 100_000], "cannot be taken"),
    ],
)
async def test_what_is_no_result_is_an_error(
    server: fake_api.FakeApi, api: client.Client, messages: list[bytes], words: str
) -> None:
    server.on("GET", PATH, sending(*messages))
    with pytest.raises(errors.ExecError, match=words) as caught:
        await execute.run(api, WHERE, ["x"], max_bytes=100)
    assert caught.value.error_code == ("DL0752" if words == "could not be run" else "DL0751")


async def test_a_command_that_does_not_end_is_given_up(server: fake_api.FakeApi, api: client.Client) -> None:
    hold = asyncio.Event()
    server.on("GET", PATH, sending(b"\x01half", hold=hold))
    with pytest.raises(errors.ExecError, match="did not end within"):
        await execute.run(api, WHERE, ["sleep"], timeout_s=0.2)
    hold.set()
