"""A place to measure in: a project with one sync, a local target, and processes of devloop on it."""

from __future__ import annotations

import collections
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from devloop.state import dirs
from tests.bench import corpus, procfs

REPOSITORY: Final = Path(__file__).resolve().parents[2]

# How long anything may take before the bench gives up on it.
PATIENCE_S: Final = 180.0

_CONFIG: Final = """\
version: 1
name: bench
services:
  web:
    target: {{local: {target}}}
    sync:
      - {{from: ./src, to: /app}}
"""

Record = dict[str, Any]


class Lab:
    """A folder of its own with project, target and devloop's state; removed at the end.

    Args:
        trees: The corpus.
        base: Where: a folder on tmpfs or on a disk.
    """

    def __init__(self, trees: corpus.Corpus, base: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="devloop-bench-", dir=base))
        self.source = self.folder / "project" / "src"
        self.target = self.folder / "target"
        self.placed = self.target / "app"
        self.config = self.folder / "project" / "devloop.yaml"
        self._trees = trees

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def project(self, tree: str) -> list[Path]:
        """Make the project with a tree of the corpus, and return its files."""
        found = self._trees.unpack(tree, self.source)
        self.config.write_text(_CONFIG.format(target=self.target))
        return found

    def small_project(self, files: int) -> None:
        """Make the project with a few small files."""
        self.source.mkdir(parents=True)
        for number in range(files):
            (self.source / f"m{number}.py").write_text(f"VALUE = {number}\n" * 20)
        self.config.write_text(_CONFIG.format(target=self.target))

    def forget(self) -> None:
        """Remove the target and devloop's state: the next start is the first."""
        shutil.rmtree(self.target, ignore_errors=True)
        shutil.rmtree(self.folder / "state", ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return the environment of every process that is measured: byte code is written and read as usual."""
        odd = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONWARNINGS")
        kept = {key: value for key, value in os.environ.items() if key not in odd and not key.startswith("GIT_")}
        return {**kept, "PYTHONPATH": str(REPOSITORY), "DEVLOOP_STATE_DIR": str(self.folder / "state")}

    def agent_socket(self) -> str:
        """Return where the service's agent listens."""
        before = os.environ.get("DEVLOOP_STATE_DIR")
        os.environ["DEVLOOP_STATE_DIR"] = str(self.folder / "state")
        try:
            return dirs.project(str(self.config.parent)).agent_socket("web")
        finally:
            if before is None:
                del os.environ["DEVLOOP_STATE_DIR"]
            else:
                os.environ["DEVLOOP_STATE_DIR"] = before

    def start(self, *options: str) -> Subject:
        """Start devloop on the project."""
        command = [sys.executable, "-m", "tests.bench.driver", str(self.config), *options]
        return Subject(command, self.environment())


class Subject:
    """A running `tests.bench.driver`. Ended, and its agent with it, when the block is left.

    Attributes:
        spawned_s: When it was started, by the monotonic clock.
        pid: Its process.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.spawned_s = time.monotonic()
        self._process = subprocess.Popen(
            command, env=environment, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid
        self._records: collections.deque[Record] = collections.deque()
        self._came = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    @property
    def agent(self) -> int:
        """The agent's process."""
        return procfs.children(self.pid)[0]

    def order(self, **what: object) -> None:
        """Give an order; see `driver.Order`."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(what) + b"\n")
        self._process.stdin.flush()

    def records(self, until: Callable[[Record], bool], patience_s: float = PATIENCE_S) -> Iterator[Record]:
        """Yield what it tells, up to and with the record that is waited for.

        Raises:
            SystemExit: It did not come.
        """
        deadline_s = time.monotonic() + patience_s
        while True:
            with self._came:
                while not self._records:
                    left_s = deadline_s - time.monotonic()
                    if self._ended or left_s <= 0:
                        raise SystemExit("devloop ended, or did not do what was waited for")
                    self._came.wait(left_s)
                record = self._records.popleft()
            yield record
            if until(record):
                return

    def wait(self, until: Callable[[Record], bool], patience_s: float = PATIENCE_S) -> Record:
        """Return the record that is waited for; what comes before is passed over."""
        return list(self.records(until, patience_s))[-1]

    def in_sync(self) -> Record:
        """Wait until it is in sync, and return that event's record."""
        return self.wait(lambda record: is_event(record, "sync_complete"))

    def edits(self, path: Path, count: int, *, gap_s: float = 0.1) -> list[float]:
        """Have a file saved again and again; return how many milliseconds each took until it was acked."""
        self.order(do="edits", path=str(path), count=count, gap_s=gap_s)
        found = self.records(lambda record: record["kind"] == "edits_done")
        return [record["ms"] for record in found if record["kind"] == "edit"]

    def forward(self, port: int) -> int:
        """Have it forward a port of the pod's loopback, and return the local one."""
        self.order(do="forward", port=port)
        return int(self.wait(lambda record: record["kind"] == "forwarding")["port"])

    def wire_bytes(self) -> int:
        """Return how many bytes went over the link so far, both ways."""
        self.order(do="wire")
        return int(self.wait(lambda record: record["kind"] == "wire")["bytes"])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            record = msgspec.json.decode(line)
            with self._came:
                self._records.append(record)
                self._came.notify()
        with self._came:
            self._ended = True
            self._came.notify()


def is_event(record: Record, name: str) -> bool:
    """Say whether a record is an event of this name."""
    return bool(record["kind"] == "event" and record["event"]["event"] == name)


def pause(seconds: float) -> None:
    """Let the machine be quiet for a moment."""
    threading.Event().wait(seconds)
