"""A developer's project on the laptop, with devloop's own command line: what is tested here is what people run."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from devloop.sync import events
from devloop.ui import narrator
from tests.e2e import cluster, space, terminal

# How long the loop may take for anything, a new pod included.
PATIENCE_S: Final = 90.0

_RUN: Final = "from devloop.cli.main import main; main()"

Event = dict[str, Any]


class Project:
    """A folder with a devloop.yaml.

    Args:
        folder: Empty; the project, devloop's state and its home are made in it.
        where: The namespace.
        user: Whose kubeconfig devloop gets.
        services: As in devloop.yaml.
        person: Who sits at this laptop.
    """

    def __init__(
        self, folder: Path, where: space.Space, user: cluster.Kubectl, services: dict[str, Any], person: str = "ann"
    ) -> None:
        self.folder = folder / "project"
        self.folder.mkdir(parents=True)
        self.where = where
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("DEVLOOP_", "GIT_"))},
            "HOME": str(folder),
            "LOGNAME": person,
            "KUBECONFIG": str(user.kubeconfig),
            "DEVLOOP_STATE_DIR": str(folder / "state"),
            "PYTHONPATH": str(cluster.REPO),
        }
        config = {"version": 1, "namespace": where.name, "services": services}
        (self.folder / "devloop.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def write(self, path: str, text: str) -> None:
        """Save a file."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def run(self, *arguments: str, told: str = "", timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end, whatever its exit status."""
        return subprocess.run(
            self._argv(*arguments),
            cwd=self.folder,
            env=self._environment,
            input=told,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def raw(
        self, *arguments: str, told: bytes = b"", timeout_s: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a verb to its end with bytes for its input and its output."""
        return subprocess.run(
            self._argv(*arguments),
            cwd=self.folder,
            env=self._environment,
            input=told,
            capture_output=True,
            timeout=timeout_s,
        )

    @contextlib.contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a verb meanwhile; it is killed in the end."""
        pipe = subprocess.PIPE
        with subprocess.Popen(
            self._argv(*arguments), cwd=self.folder, env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def at_terminal(self, *arguments: str) -> contextlib.AbstractContextManager[terminal.Screen]:
        """Run a verb at a terminal."""
        return terminal.opened(self._argv(*arguments), self.folder, self._environment)

    def ok(self, *arguments: str, told: str = "") -> str:
        """Run a verb that must succeed, and return its output."""
        done = self.run(*arguments, told=told)
        assert done.returncode == 0, f"devloop {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def injected(self, *manifests: dict[str, Any], image: str, kube_version: str = "") -> list[dict[str, Any]]:
        """Return manifests with the agent in them, by `devloop inject`."""
        told = "\n---\n".join(yaml.safe_dump(each, sort_keys=False) for each in manifests)
        version = kube_version or str(self.where.cluster.version)
        out = self.ok("inject", "-f", "-", "--agent-image", image, "--kube-version", version, told=told)
        return [each for each in yaml.safe_load_all(out) if each]

    def watch(self, *arguments: str) -> Watch:
        """Return a watching devloop, to be entered."""
        return Watch(self._argv("watch", "-o", "json", *arguments), self.folder, self._environment, self)

    def states(self) -> dict[str, Any]:
        """Return what `devloop status` knows of the first service."""
        service: dict[str, Any] = json.loads(self.run("status", "-o", "json").stdout)["services"][0]
        return service

    def flush(self) -> None:
        """Wait until everything that is saved is in every pod."""
        self.ok("flush")

    def _argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-c", _RUN, *arguments]


class Watch:
    """`devloop watch -o json`, followed."""

    def __init__(self, argv: list[str], folder: Path, environment: dict[str, str], project: Project) -> None:
        self.project = project
        self.events: list[Event] = []
        self._argv, self._folder, self._environment = argv, folder, environment
        self._lines: queue.Queue[bytes | None] = queue.Queue()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._argv, cwd=self._folder, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            told = [json.dumps(event) for event in self.events[-30:]]
            error.add_note("devloop said:\n" + "\n".join(told) + "\n" + self.words())
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(10)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def until(
        self, what: str, accept: Callable[[Event], bool] = lambda event: True, *, patience_s: float = PATIENCE_S
    ) -> Event:
        """Return the next event of a kind that is accepted; those before it are passed over."""
        until_s = time.monotonic() + patience_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until_s - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {what} within {patience_s:.0f} s") from None
            if line is None:
                assert self.process.stderr is not None
                raise AssertionError(f"devloop ended before {what}: {self.process.stderr.read().decode()}")
            event: Event = json.loads(line)
            self.events.append(event)
            if event["event"] == what and accept(event):
                return event

    def words(self) -> str:
        """Return what a person would have read so far: the lines of the plain view."""
        told = narrator.Narrator()
        with contextlib.suppress(queue.Empty):
            while line := self._lines.get_nowait():
                self.events.append(json.loads(line))
        seen = (events.from_json(json.dumps(each).encode()) for each in self.events)
        return "\n".join(line.text for event in seen for line in told.tell(event))

    def errors(self) -> str:
        """Return what it said on standard error, once it has ended."""
        assert self.process.stderr is not None
        self.process.wait(30)
        return self.process.stderr.read().decode()


@contextlib.contextmanager
def watching(project: Project, *arguments: str) -> Iterator[Watch]:
    """Watch a project until the block ends; on entry it is in sync."""
    with project.watch(*arguments) as watch:
        watch.until("ready")
        yield watch
