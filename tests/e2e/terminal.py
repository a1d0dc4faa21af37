"""A person at a terminal: devloop on a pseudo-terminal of its own, what it shows, and the keys that are pressed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


class Screen:
    """The terminal's other end."""

    def __init__(self, controller: int, terminal: int, process: subprocess.Popen[bytes]) -> None:
        self.shown = ""
        self.process = process
        self._controller, self._terminal = controller, terminal
        self.before = termios.tcgetattr(terminal)

    def until(self, pattern: str, patience_s: float = 40.0) -> str:
        """Read until what was shown since the last call has something, and return that."""
        until_s = time.monotonic() + patience_s
        while not (found := re.search(pattern, self.shown)):
            left_s = until_s - time.monotonic()
            assert left_s > 0, f"no {pattern!r} in {self.shown!r}"
            if select.select([self._controller], [], [], left_s)[0]:
                self.shown += os.read(self._controller, 65536).decode("utf-8", "replace")
        self.shown = self.shown[found.end() :]
        return found[0]

    def type(self, keys: str) -> None:
        os.write(self._controller, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def is_as_before(self) -> bool:
        """The terminal is as it was found."""
        return termios.tcgetattr(self._terminal) == self.before

    def end(self, patience_s: float = 40.0) -> int:
        """Wait for the end, and return the exit status."""
        until_s = time.monotonic() + patience_s
        while self.process.poll() is None and time.monotonic() < until_s:
            # Who does not read holds it up.
            if select.select([self._controller], [], [], 0.05)[0]:
                self.shown += os.read(self._controller, 65536).decode("utf-8", "replace")
        return self.process.wait(1)


@contextlib.contextmanager
def opened(
    argv: Sequence[str], folder: Path, env: Mapping[str, str], rows: int = 24, columns: int = 80
) -> Iterator[Screen]:
    """Run a command on a terminal of its own, as the leader of its session."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(controller, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        argv, cwd=folder, env=dict(env), stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    try:
        yield Screen(controller, terminal, process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(controller)
        os.close(terminal)
