"""A debugger attaches to an app under `devloop watch` with nothing but the launch configuration that devloop wrote.

The debugger is debugpy, which is no dependency of the tests: 20 MB for one of them. It is taken from this environment
where it is installed, or from the interpreter that DEVLOOP_TEST_DEBUGPY names; elsewhere the test is skipped, and says
so.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devloop.cli import asking, main, options
from devloop.ide import jsonc

REPO = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("DEVLOOP_TEST_DEBUGPY") or (sys.executable if importlib.util.find_spec("debugpy") else "")

pytestmark = pytest.mark.skipif(
    not PYTHON, reason="debugpy is not installed: name an interpreter that has it by DEVLOOP_TEST_DEBUGPY"
)

APP = """\
import time


def tick(number):
    return number + 1


number = 0
while True:
    number = tick(number)
    time.sleep(0.01)
"""
LINE = 5


class Adapter:
    """A client of the Debug Adapter Protocol, as small as it can be.

    Args:
        connected: To the adapter.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._stream = connected.makefile("rwb")
        self._sent = 0
        self.seen: list[dict[str, Any]] = []

    def send(self, command: str, **arguments: Any) -> int:
        self._sent += 1
        body = json.dumps({"seq": self._sent, "type": "request", "command": command, "arguments": arguments}).encode()
        self._stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._stream.flush()
        return self._sent

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        number = self.send(command, **arguments)
        return self.answer(number)

    def answer(self, number: int) -> dict[str, Any]:
        found = self._until(lambda each: each["type"] == "response" and each["request_seq"] == number)
        assert found["success"], found
        body: dict[str, Any] = found.get("body") or {}
        return body

    def event(self, name: str) -> dict[str, Any]:
        found = self._until(lambda each: each["type"] == "event" and each["event"] == name)
        body: dict[str, Any] = found.get("body") or {}
        return body

    def _until(self, fits: Any) -> dict[str, Any]:
        while True:
            for message in self.seen:
                if fits(message):
                    self.seen.remove(message)
                    return message
            size = 0
            while (line := self._stream.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            assert size, f"the adapter went away; seen: {self.seen}"
            self.seen.append(json.loads(self._stream.read(size)))


@contextlib.contextmanager
def watching(folder: Path) -> Iterator[None]:
    """Watch a project until the block ends; it begins when everything is in sync."""
    command = [sys.executable, "-P", "-m", "devloop.cli.main", "watch", "--plain"]
    environ = {**os.environ, "PYTHONPATH": str(REPO)}
    with open(folder.parent / "watch.log", "wb") as log:
        watch = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)
    assert watch.stdout is not None
    try:
        assert any(line == "devloop: ready\n" for line in watch.stdout), (folder.parent / "watch.log").read_text()
        yield
    finally:
        watch.send_signal(signal.SIGTERM)
        watch.communicate(timeout=60)


def connected(host: str, port: int) -> socket.socket:
    """Connect as soon as the debugger listens: the app starts after its files are in sync."""
    deadline_s = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection((host, port), timeout=60)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline_s
            asking.pause(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def project(folder: Path) -> None:
    (folder / "web").mkdir(parents=True)
    (folder / "web/app.py").write_text(APP)
    # What debugpy itself says on stderr about frozen modules is switched off by the flag.
    words = [PYTHON, "-Xfrozen_modules=off", "-m", "debugpy", "--listen", f"127.0.0.1:{free_port()}", "app.py"]
    (folder / "devloop.yaml").write_text(
        f"version: 1\nservices:\n  web:\n    target: {{local: ./.devloop/web}}\n    command: {json.dumps(words)}\n"
        "    sync: [{from: ./web, to: /app}]\n    reload: supervise\n"
    )


def configuration(folder: Path) -> dict[str, Any]:
    """Return the configuration as VS Code hands it to the adapter: with its variable replaced."""
    node = jsonc.parse((folder / ".vscode/launch.json").read_text(), "launch.json")
    assert node is not None
    [found] = node.value["configurations"]
    made: dict[str, Any] = json.loads(json.dumps(found).replace("${workspaceFolder}", str(folder)))
    return made


def test_a_breakpoint_by_the_laptops_path_is_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVLOOP_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path.resolve() / "shop"
    project(folder)
    monkeypatch.chdir(folder)
    assert main.run(["ide", "vscode", "--write"], options.Chosen()) == 0
    given = configuration(folder)
    assert given["type"] == "debugpy" and not re.search(r"\$\{", json.dumps(given))
    source = str(folder / "web/app.py")
    with watching(folder), connected(given["connect"]["host"], given["connect"]["port"]) as line:
        adapter = Adapter(line)
        adapter.ask("initialize", adapterID="debugpy", pathFormat="path", linesStartAt1=True, columnsStartAt1=True)
        attached = adapter.send("attach", **given)
        adapter.event("initialized")
        set_ = adapter.ask("setBreakpoints", source={"path": source}, breakpoints=[{"line": LINE}])
        assert set_["breakpoints"][0]["verified"], set_
        adapter.ask("configurationDone")
        adapter.answer(attached)
        stopped = adapter.event("stopped")
        assert stopped["reason"] == "breakpoint"
        [top, *_] = adapter.ask("stackTrace", threadId=stopped["threadId"])["stackFrames"]
        assert (top["source"]["path"], top["line"], top["name"]) == (source, LINE, "tick")
        adapter.ask("disconnect")
