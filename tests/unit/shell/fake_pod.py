"""A pod whose exec runs real processes on this machine, as a kubelet does: pipes, or a terminal of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import termios
from typing import Any

import yarl
from aiohttp import WSMsgType, web

from devloop.kube import channels
from tests.unit.kube import fake_api

PATH = "/api/v1/namespaces/dev/pods/web/exec"


def exited(code: int) -> bytes:
    if code == 0:
        return b"\x03" + json.dumps({"status": "Success"}).encode()
    # As runtimes tell of a signal.
    shown = code if code > 0 else 128 - code
    causes = [{"reason": "ExitCode", "message": str(shown)}]
    return b"\x03" + json.dumps({"status": "Failure", "details": {"causes": causes}}).encode()


class Pod:
    """The container.

    Args:
        server: Where it is reached.
        version: Of Kubernetes: before 1.30 without the end of standard input.
        lacks: Programs that the image does not have.
        path: Its PATH.
    """

    def __init__(
        self, server: fake_api.FakeApi, version: int = 30, lacks: tuple[str, ...] = (), path: str = ""
    ) -> None:
        self.protocols = [channels.V5, channels.V4] if version >= 30 else [channels.V4]
        self.lacks = lacks
        self.commands: list[list[str]] = []
        self.requests: list[yarl.URL] = []
        self.transports: list[Any] = []
        self._env = {**os.environ, **({"PATH": path} if path else {})}
        server.on("GET", PATH, self.exec)
        server.on("GET", "/version", fake_api.giving({"major": "1", "minor": str(version), "gitVersion": "v"}))

    async def exec(self, request: web.Request) -> web.StreamResponse:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if not any(each in offered for each in self.protocols):
            return fake_api.status(403, "")
        websocket = web.WebSocketResponse(protocols=self.protocols, max_msg_size=0)
        await websocket.prepare(request)
        self.transports.append(request.transport)
        argv = request.query.getall("command")
        self.commands.append(argv)
        self.requests.append(request.url)
        if argv[0] in self.lacks:
            told = f'exec: "{argv[0]}": executable file not found in $PATH: unknown'
            await websocket.send_bytes(b"\x03" + json.dumps({"status": "Failure", "message": told}).encode())
        elif "tty" in request.query:
            await self._terminal(websocket, argv)
        else:
            await self._pipes(websocket, argv)
        await websocket.close()
        return websocket

    async def _pipes(self, websocket: web.WebSocketResponse, argv: list[str]) -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, env=self._env, start_new_session=True
        )
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None

        async def down(channel: int, reader: asyncio.StreamReader) -> None:
            while data := await reader.read(32 * 1024):
                with contextlib.suppress(ConnectionError):
                    await websocket.send_bytes(bytes((channel,)) + data)

        async def up() -> None:
            assert process.stdin is not None
            async for frame in websocket:
                if frame.type is not WSMsgType.BINARY:
                    continue
                with contextlib.suppress(ConnectionError):
                    if frame.data[0] == channels.CLOSE:
                        process.stdin.close()
                    elif frame.data[0] == channels.STDIN:
                        process.stdin.write(frame.data[1:])
                        await process.stdin.drain()
            # As when the connection has ended: the command's input ends, and nobody signals it.
            process.stdin.close()

        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(up())
                async with asyncio.TaskGroup() as outputs:
                    outputs.create_task(down(channels.STDOUT, process.stdout))
                    outputs.create_task(down(channels.STDERR, process.stderr))
                status = await process.wait()
                with contextlib.suppress(ConnectionError):
                    await websocket.send_bytes(exited(status))
                feeding.cancel()
        finally:
            await _reap(process)

    async def _terminal(self, websocket: web.WebSocketResponse, argv: list[str]) -> None:
        loop = asyncio.get_running_loop()
        controller, end = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=end, stdout=end, stderr=end, env=self._env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(end)

        async def up() -> None:
            async for frame in websocket:
                if frame.type is not WSMsgType.BINARY:
                    continue
                if frame.data[0] == channels.RESIZE:
                    size = json.loads(frame.data[1:])
                    packed = struct.pack("HHHH", size["Height"], size["Width"], 0, 0)
                    fcntl.ioctl(controller, termios.TIOCSWINSZ, packed)
                else:
                    os.write(controller, frame.data[1:])

        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(up())
                with contextlib.suppress(OSError):
                    while data := await loop.run_in_executor(None, os.read, controller, 65536):
                        await websocket.send_bytes(b"\x01" + data)
                await websocket.send_bytes(exited(await process.wait()))
                feeding.cancel()
        finally:
            await _reap(process)
            os.close(controller)


async def _reap(process: asyncio.subprocess.Process) -> None:
    """End what a test left: a real pod would keep it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Its pipes are closed with it, those that were not read to their end as well.
    transport: Any = process._transport  # type: ignore[attr-defined]
    transport.close()
    await process.wait()
