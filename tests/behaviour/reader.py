"""A reader that never stops: opens the target's files like an app would, and remembers every content it was given."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path


class Reader:
    """Reads the files below some folders again and again in a thread of its own.

    Attributes:
        seen: Folder's number, path and digest of everything that was read.
        torn: Paths whose content was not of the size that `fstat` told.
    """

    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._seen: set[tuple[int, str, str]] = set()
        self.torn: list[str] = []
        self.reads = 0
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def take(self) -> set[tuple[int, str, str]]:
        """Return what was seen since the last call."""
        with self._lock:
            seen, self._seen = self._seen, set()
        return seen

    def _run(self) -> None:
        done: dict[tuple[int, str], tuple[int, int, int]] = {}
        while not self._stop.wait(0.02):
            for number, folder in enumerate(self._folders):
                for place, _, names in os.walk(folder):
                    for name in names:
                        self._read(number, os.path.relpath(os.path.join(place, name), folder), done)

    def _read(self, number: int, path: str, done: dict[tuple[int, str], tuple[int, int, int]]) -> None:
        try:
            fd = os.open(self._folders[number] / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                return
            stamp = (info.st_ino, info.st_mtime_ns, info.st_size)
            if done.get((number, path)) == stamp:
                return
            content = b""
            while piece := os.read(fd, 1 << 20):
                content += piece
            self.reads += 1
            if len(content) != info.st_size:
                self.torn.append(path)
            done[number, path] = stamp
            with self._lock:
                self._seen.add((number, path, hashlib.sha256(content).hexdigest()))
        finally:
            os.close(fd)
