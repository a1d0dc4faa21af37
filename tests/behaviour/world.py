"""A project, its target and a watching process as the behaviour tests use them.

The watching process is a real one (`tests.behaviour.driver`); the tests ask it through its control socket and treat it
as badly as they like.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from devloop import errors
from devloop.daemon import client
from devloop.state import dirs
from tests.behaviour import oracle

REPOSITORY = Path(__file__).resolve().parent.parent.parent

# How long anything may take before a test gives up; nothing asserts that it is fast.
PATIENCE_S = 60.0

_STATES_TO_WAIT_IN = frozenset({"connecting", "syncing"})


class StuckError(AssertionError):
    """Something did not happen in time."""


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Ask again and again until the answer is true, and return it."""
    pause, deadline = threading.Event(), time.monotonic() + patience_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise StuckError(f"waited {patience_s:.0f} s for: {what}")
        pause.wait(0.01)


class World:
    """One project with one service `web`, and its watching process.

    Args:
        folder: Empty; the project goes in `project`, the target in `target`.
        config: The whole `devloop.yaml`.
        target: The target's folder.
    """

    def __init__(self, folder: Path, config: str, *, target: Path | None = None) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.target = target or folder / "target"
        self.state = folder / "s"
        self.project.mkdir(parents=True)
        (self.project / "devloop.yaml").write_text(config)
        with mock.patch.dict(os.environ, {"DEVLOOP_STATE_DIR": str(self.state)}):
            self.places = dirs.project(str(self.project))
        self.client = client.Client(self.places.socket)
        self.process: subprocess.Popen[bytes] | None = None
        self.lines: list[dict[str, Any]] = []
        self._threads: list[threading.Thread] = []
        self.wrapper: list[str] = []

    # ---- the project ----------------------------------------------------------------------------------------

    def git(self, *arguments: str, ok: bool = True) -> str:
        """Run git in the project."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        environment |= {"GIT_EDITOR": "true", "GIT_SEQUENCE_EDITOR": "true"}
        words = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
        words += ["-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null"]
        done = subprocess.run([*words, *arguments], cwd=self.project, env=environment, capture_output=True)
        if ok and done.returncode:
            raise AssertionError(f"git {arguments}: {done.stderr!r} {done.stdout!r}")
        return done.stdout.decode("utf-8", "surrogateescape")

    def init_git(self) -> None:
        """Make the project a repository with everything in it committed."""
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-qm", "first", "--allow-empty")

    def write(self, path: str, content: bytes | str) -> Path:
        """Write a file of the project, making its folders."""
        full = self.project / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(content.encode() if isinstance(content, str) else content)
        return full

    # ---- the watching process -------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> None:
        """Start watching, in the place of a process that has ended by itself."""
        if self.process is not None:
            self.kill_laptop()
        environment = os.environ | {
            "DEVLOOP_STATE_DIR": str(self.state),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
        }
        with (self.folder / "stderr").open("ab") as stderr:
            self.process = subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", "tests.behaviour.driver", str(self.project)],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        thread = threading.Thread(target=self._follow, args=(self.process,), daemon=True)
        thread.start()
        self._threads.append(thread)
        if wait:
            until(lambda: self.client.alive() or self._ended(), "the control socket")

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                self.lines.append(json.loads(line))

    def _ended(self) -> bool:
        if self.process is not None and self.process.poll() is None:
            return False
        raise AssertionError(f"the watching process ended by itself: {self.complaints()}")

    def complaints(self) -> str:
        """Return what the watching process and the agents wrote where only trouble is written."""
        found = []
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                found.append(f"it ended with {self.process.wait(1)}")
        logs = [self.folder / "stderr", *Path(self.places.logs).glob("agent-*.log")]
        texts = {path.name: path.read_text(errors="replace")[-3000:] for path in logs if path.exists()}
        found += [f"{name}:\n{text}" for name, text in texts.items() if text]
        notices = [str(line) for line in self.lines if line.get("event") in {"notice", "Notice"}]
        last = [str(line)[:300] for line in self.lines[-5:]]
        return "\n".join([*found, *notices[-5:], *last])

    def tell(self, line: str) -> None:
        """Tell the link's proxy something."""
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.write(line.encode() + b"\n")
                self.process.stdin.flush()

    def kill_laptop(self) -> None:
        """Kill the watching process, as nothing kindly does."""
        if self.process is not None:
            self.process.kill()
            self._reap()

    def stop(self) -> None:
        """Stop the watching process in order."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self._reap()
            raise StuckError(f"the watching process did not stop: {self.complaints()}") from None
        self._reap()

    def _reap(self) -> None:
        assert self.process is not None
        self.process.wait()
        for thread in self._threads:
            thread.join(5)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._threads.clear()
        self.process = None

    def agent_pids(self) -> list[int]:
        """Return the agents that the watching process has as children."""
        if self.process is None:
            return []
        pid = self.process.pid
        words: list[str] = []
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                words += Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        return [int(word) for word in words if b"agent" in _command_line(word)]

    def signal_agent(self, number: int = signal.SIGKILL) -> bool:
        """Send the agent a signal; say whether there was one."""
        pids = self.agent_pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(pids)

    # ---- asking ---------------------------------------------------------------------------------------------

    def ask(self, verb: str, patience_s: float = 30.0, **arguments: Any) -> Any:
        """Ask the watching process."""
        try:
            return self.client.ask(verb, arguments, timeout_s=patience_s)
        except errors.DevloopError as error:
            raise AssertionError(f"{verb}: {error}; {self.complaints()}") from error

    def status(self) -> dict[str, Any]:
        """Return the status of the one service."""
        service: dict[str, Any] = self.ask("status")["services"][0]
        return service

    def flush(self, timeout_s: float = 10.0) -> str:
        """Flush once; return the state."""
        states: dict[str, str] = self.ask("flush", timeout_s + 20, timeout_s=timeout_s)
        return states["web"]

    def settle(self, *, approve: bool = True, patience_s: float = PATIENCE_S) -> str:
        """Flush until the state is one that stays, approving what is held; return it."""
        deadline = time.monotonic() + patience_s
        while True:
            state = self.flush()
            if state == "held" and approve:
                self.ask("approve")
            elif state not in _STATES_TO_WAIT_IN:
                return state
            if time.monotonic() > deadline:
                raise StuckError(f"still {state!r} after {patience_s:.0f} s: {self.status()} {self.complaints()}")

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind so far."""
        return [line for line in self.lines if line.get("event") == kind]


@contextlib.contextmanager
def watching(world: World) -> Iterator[World]:
    """Start watching, and end it whatever happens."""
    world.start()
    try:
        yield world
        world.stop()
    finally:
        if world.process is not None:
            world.kill_laptop()


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def config(*syncs: str, extra: str = "", target: str = "../target") -> str:
    """Return a devloop.yaml with one service `web`."""
    lines = "\n".join(f"      - {{{sync}}}" for sync in syncs)
    return f"""\
version: 1
name: test
services:
  web:
    target: {{local: {target}}}
    sync:
{lines}
{extra}"""


def differences(world: World, specs: list[oracle.SyncSpec], hasher: oracle.Hasher) -> list[str]:
    """Return how the target differs from what the laptop has: missing, other, or left over."""
    found = []
    for spec in specs:
        disk = oracle.look(str(world.project / spec.source), hasher, frozenset({".git", ".devloop"}))
        wanted = oracle.shipped(world.project, spec, disk)
        there = oracle.look(str(world.target / spec.to.lstrip("/")), hasher)
        found += [
            f"{spec.to}/{path}: wanted {wanted.get(path)}, there {there.get(path)}"
            for path in sorted(wanted.keys() | there.keys())
            if wanted.get(path) != there.get(path)
        ]
    return found
