"""What `devloop demo` does: a git project with a web app, watched for real, edited, and measured from outside.

Nothing in here is simulated. The daemon is the one that `devloop watch` runs, the edits are writes to the disk, and the
last column of the table is an HTTP response that has the edit in it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from devloop import errors
from devloop.config import load
from devloop.daemon import app, bus
from devloop.sync import events

EDITS: Final = 5

# How long each step may take before the demo gives up: a slow machine needs a second or two.
STEP_TIMEOUT_S: Final = 30.0

_APP: Final = '''\
"""A web app of one file: answers with the greeting and the number of modules beside it."""

import http.server
import pathlib
import sys

GREETING = "hello 0"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        count = len(list(pathlib.Path("modules").glob("*.py"))) if pathlib.Path("modules").exists() else 0
        body = f"{GREETING}, {count} modules\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


print(f"serving {GREETING!r} on port {sys.argv[1]}")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''


class Row(msgspec.Struct, frozen=True):
    """One line of the table.

    Attributes:
        what: What was done.
        acked_ms: From the end of the write to the agent's word that it has it.
        seen_ms: From there to the first HTTP response with it.
    """

    what: str
    acked_ms: float
    seen_ms: float


async def run(folder: Path, *, files: int, keep: bool) -> errors.Exit:
    """Make the project in an empty folder, watch it, edit it, print the table.

    Args:
        folder: Empty.
        files: How many files the branch switch changes.
        keep: Go on watching until interrupted.
    """
    if shutil.which("git") is None:
        raise errors.LocalError("the demo needs git, which is not on the PATH", hint="install git", code="DL0351")
    port = _free_port()
    _make_project(folder, port, files)
    _say(f"a git project with a web app in {folder}")
    loaded = load.load(str(folder / "devloop.yaml"))
    daemon = app.Daemon(loaded.config, loaded.folder, app.Options())
    watching = _Watching(daemon.bus)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(daemon.run())
        following = group.create_task(watching.follow())
        try:
            rows = await _act(folder, port, files, watching)
            print_table(rows)
            if keep:
                await _until_interrupted(folder, port)
        except TimeoutError as error:
            words = f"the demo failed: a step took more than {STEP_TIMEOUT_S:.0f} s"
            raise errors.LocalError(words, hint="is this machine very busy?", code="DL0350") from error
        finally:
            daemon.stop("the demo is over")
            await asyncio.wait([running])
            # A daemon that failed has not ended the stream.
            daemon.bus.close()
            await asyncio.wait([following])
    _say("done: everything was stopped" + ("" if keep else " and removed"))
    return errors.Exit.OK


class _Watching:
    """Follows the event stream and remembers when a batch was last acked."""

    def __init__(self, source: bus.Bus) -> None:
        self._source = source
        self._settled = asyncio.Event()
        self.trouble = ""

    async def follow(self) -> None:
        async for event in self._source.subscribe(recent=True):
            match event:
                case events.SyncComplete():
                    self.trouble = ""
                    self._settled.set()
                case events.SyncFailed():
                    # It may pass: git has the last word on deletions. If it does not, the step ends in its time.
                    self.trouble = event.message
                case events.Notice(level=events.Level.ERROR):
                    self.trouble = event.message
                    self._settled.set()
                case events.Output():
                    for line in event.lines:
                        _say(f"  {event.source} | {line}")
                case _:
                    pass

    async def settled(self) -> None:
        """Wait until everything is acked."""
        async with asyncio.timeout(STEP_TIMEOUT_S):
            await self._settled.wait()
        if self.trouble:
            raise errors.LocalError(f"the demo failed: {self.trouble}", code="DL0350")

    def expect(self) -> None:
        """Look for the next ack from here on."""
        self._settled.clear()


async def _act(folder: Path, port: int, files: int, watching: _Watching) -> list[Row]:
    began_s = time.perf_counter()
    await watching.settled()
    await _response_with(port, "hello 0")
    _say(f"first sync and first response after {(time.perf_counter() - began_s) * 1000:.0f} ms")
    rows = []
    for number in range(1, EDITS + 1):
        await asyncio.sleep(0.3)
        rows.append(await _edit(folder, port, number, watching))
    _git(folder, "commit", "-qam", "edits")
    await asyncio.sleep(0.3)
    came = f"{files} files come"
    rows.append(await _switch_branch(folder, port, "many-modules", came, f", {files} modules", watching))
    await asyncio.sleep(0.3)
    rows.append(await _switch_branch(folder, port, "main", f"{files} files go", f"hello {EDITS}, 0 modules", watching))
    return rows


async def _edit(folder: Path, port: int, number: int, watching: _Watching) -> Row:
    path = folder / "web" / "app.py"
    text = path.read_text().replace(f"hello {number - 1}", f"hello {number}")
    watching.expect()
    path.write_text(text)
    saved_s = time.perf_counter()
    await watching.settled()
    acked_s = time.perf_counter()
    await _response_with(port, f"hello {number},")
    seen_s = time.perf_counter()
    return Row(f"edit {number}: app.py saved", (acked_s - saved_s) * 1000, (seen_s - acked_s) * 1000)


async def _switch_branch(folder: Path, port: int, branch: str, what: str, wanted: str, watching: _Watching) -> Row:
    watching.expect()
    began_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        "git", "switch", "-q", branch, cwd=folder, stderr=asyncio.subprocess.DEVNULL
    )
    await process.wait()
    git_s = time.perf_counter()
    await watching.settled()
    acked_s = time.perf_counter()
    await _response_with(port, wanted)
    seen_s = time.perf_counter()
    took_ms = (git_s - began_s) * 1000
    return Row(f"git switch: {what} (git: {took_ms:.0f} ms)", (acked_s - git_s) * 1000, (seen_s - acked_s) * 1000)


def print_table(rows: list[Row]) -> None:
    """Print the measurements."""
    width = max(len(row.what) for row in rows)
    print(f"\n{'':{width}}  saved -> acked   acked -> HTTP   saved -> HTTP")  # noqa: T201
    for row in rows:
        total_ms = row.acked_ms + row.seen_ms
        print(f"{row.what:{width}}  {row.acked_ms:9.1f} ms    {row.seen_ms:9.1f} ms    {total_ms:9.1f} ms")  # noqa: T201
    print()  # noqa: T201


async def _response_with(port: int, wanted: str) -> None:
    """Ask the app again and again until its response has what is wanted."""
    async with asyncio.timeout(STEP_TIMEOUT_S):
        while wanted not in await _get(port):  # noqa: ASYNC110  (it is asked from outside, as a browser would)
            await asyncio.sleep(0.002)


async def _get(port: int) -> str:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return ""
    try:
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        return (await reader.read()).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        writer.close()


async def _until_interrupted(folder: Path, port: int) -> None:
    _say(f"edit {folder / 'web' / 'app.py'} and look at http://127.0.0.1:{port}/ ; Ctrl-C ends it")
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    await done.wait()
    _say(f"the project stays in {folder}")


def _make_project(folder: Path, port: int, files: int) -> None:
    web = folder / "web"
    web.mkdir(parents=True)
    (web / "app.py").write_text(_APP)
    (folder / ".gitignore").write_text(".devloop/\n__pycache__/\n")
    (folder / "devloop.yaml").write_text(
        f"""\
version: 1
name: demo
services:
  web:
    target: {{local: ./.devloop/web}}
    command: ["{sys.executable}", app.py, "{port}"]
    sync:
      - {{from: ./web, to: /app}}
    reload: {{mode: supervise, grace: 2s}}
"""
    )
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "a web app")
    _git(folder, "switch", "-qc", "many-modules")
    (web / "modules").mkdir()
    for number in range(files):
        (web / "modules" / f"m{number}.py").write_text(f"VALUE = {number}\n" * 20)
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "many modules")
    _git(folder, "switch", "-q", "main")


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    subprocess.run(["git", *identity, *arguments], cwd=folder, env=environment, check=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
