"""The watching process of the behaviour tests: the real daemon, its events as JSON lines, a link that can be broken.

`python -m tests.behaviour.driver FOLDER` watches the project in FOLDER. Between laptop and agent stands a proxy; lines
on standard input break the link: `cut` (now), `cut N` (after N more bytes), `stall S` (nothing passes for S seconds).
SIGTERM ends the watch in order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from devloop import errors
from devloop.config import load, model
from devloop.daemon import app, local
from devloop.sync import events

_PIECE_BYTES = 16 * 1024


class Proxy:
    """Carries bytes between a unix socket and the one behind it, until it is told to break them off."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._left: int | None = None
        self.group: asyncio.TaskGroup | None = None

    async def serve(self, path: str, behind: str) -> None:
        """Stand before another socket, instead of whichever was stood before until now."""
        if self._server is not None:
            self._server.close()
        assert self.group is not None
        group = self.group

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            group.create_task(self._carry(reader, writer, behind))

        self._server = await asyncio.start_unix_server(connected, path)

    def obey(self, line: str) -> None:
        """Carry out one line of standard input."""
        word, _, value = line.strip().partition(" ")
        if word == "cut" and value:
            self._left = int(value)
        elif word == "cut":
            self._cut()
        elif word == "stall":
            self._open.clear()
            asyncio.get_running_loop().call_later(float(value), self._open.set)

    def _cut(self) -> None:
        self._left = None
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: str) -> None:
        try:
            other_reader, other_writer = await asyncio.open_unix_connection(behind)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, other_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, other_writer))
                group.create_task(self._pump(other_reader, writer))
        finally:
            self._writers -= {writer, other_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_PIECE_BYTES):
                await self._open.wait()
                if self._left is not None:
                    self._left -= len(data)
                    if self._left < 0:
                        writer.write(data[: len(data) // 2])
                        self._cut()
                        return
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class Target(local.LocalTarget):
    """A local target whose socket is the proxy's."""

    def __init__(self, folder: str, tos: list[str], socket_path: str, log_path: str, proxy: Proxy) -> None:
        super().__init__(folder, tos, socket_path, log_path)
        self._proxy = proxy

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> bytes:
        key = await super()._wait_ready(process)
        behind = self._socket_path + ".a"
        os.replace(self._socket_path, behind)
        await self._proxy.serve(self._socket_path, behind)
        return key


class Daemon(app.Daemon):
    """The daemon with the proxy in its links."""

    proxy: Proxy

    def _target_of(self, name: str, spec: model.Service) -> local.LocalTarget:
        assert spec.target is not None
        socket_path = self._places.agent_socket(name)
        log_path = os.path.join(self._places.logs, f"agent-{name}.log")
        return Target(spec.target.local, [sync.to for sync in spec.sync], socket_path, log_path, self.proxy)


async def run(folder: Path) -> errors.Exit:
    """Watch until SIGTERM."""
    loaded = load.load(str(folder / "devloop.yaml"))
    daemon = Daemon(loaded.config, loaded.folder, app.Options())
    proxy = daemon.proxy = Proxy()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, daemon.stop, "SIGTERM")
    told = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    subscription = daemon.bus.subscribe(recent=True)

    async def follow() -> None:
        async for event in subscription:
            sys.stdout.buffer.write(events.to_json(event) + b"\n")
            sys.stdout.buffer.flush()

    async def obey() -> None:
        while line := await told.readline():
            proxy.obey(line.decode())

    async with asyncio.TaskGroup() as group:
        proxy.group = group
        beside = [group.create_task(obey())]
        following = group.create_task(follow())
        try:
            return await daemon.run()
        finally:
            await asyncio.wait([following], timeout=5)
            for task in [*beside, following]:
                task.cancel()
            proxy.obey("cut")


def main() -> None:
    try:
        status = asyncio.run(run(Path(sys.argv[1])))
    except* errors.DevloopError as group:
        sys.stderr.write(f"error: {group.exceptions}\n")
        os._exit(1)
    sys.exit(int(status))


if __name__ == "__main__":
    main()
