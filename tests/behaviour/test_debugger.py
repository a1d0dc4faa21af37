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
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devloop.cli import asking, main, options
from tests.behaviour import dap

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


def test_a_breakpoint_by_the_laptops_path_is_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVLOOP_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path.resolve() / "shop"
    project(folder)
    monkeypatch.chdir(folder)
    assert main.run(["ide", "vscode", "--write"], options.Chosen()) == 0
    given = dap.configuration(folder)
    assert given["type"] == "debugpy"
    source = str(folder / "web/app.py")
    with watching(folder), connected(given["connect"]["host"], given["connect"]["port"]) as line:
        dap.breaks_at(line, given, source, LINE, "tick")
