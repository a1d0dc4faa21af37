"""What the same work costs without devloop, measured in the same run: the least that this machine and Python allow.

The floor of a save is a pair of bare processes: one writes the file, reads it back, hashes it and sends it over a
socket; the other hashes it, writes it to a stage, renames it into place and answers. Nothing notices the change, no
rules, no protocol, no journal. Many files at once go the same way in one message.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.bench import corpus, lab

_LENGTH_BYTES: Final = 8

_WALK: Final = """
import os, sys
for top in sys.argv[1:]:
    todo = [top]
    while todo:
        with os.scandir(todo.pop()) as found:
            for each in found:
                if each.is_dir(follow_symlinks=False):
                    todo.append(each.path)
                else:
                    each.stat(follow_symlinks=False)
"""

_IDLE: Final = "import sys, asyncio, msgspec, websockets.asyncio.server; print(flush=True); sys.stdin.read()"


class Pair:
    """Two bare processes: this one, and one that writes what it is sent.

    Args:
        folder: A folder of its own, for the source, the stage and the target.
    """

    def __init__(self, folder: Path, here: socket.socket) -> None:
        self._folder = folder
        self._here = here

    def save(self, number: int) -> float:
        """Save one small file, and return how many milliseconds it took until the other process had it."""
        path = self._folder / "source.py"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"VALUE = {number}\nTEXT = 'a line that is as long as lines are'\n")
            began_s = time.perf_counter()
        self._ship([path])
        return (time.perf_counter() - began_s) * 1000

    def ship(self, paths: Sequence[Path]) -> float:
        """Ship files that are there, and return how many seconds it took."""
        began_s = time.perf_counter()
        self._ship(paths)
        return time.perf_counter() - began_s

    def _ship(self, paths: Sequence[Path]) -> None:
        message = []
        for number, path in enumerate(paths):
            content = path.read_bytes()
            message.append((f"f{number}", hashlib.sha256(content).digest(), content))
        _send(self._here, msgspec.msgpack.encode(message))
        if _receive(self._here) != b"done":
            raise SystemExit("the floor's other process failed")


@contextlib.contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Start the other process, and end it."""
    for name in ("stage", "target"):
        (folder / name).mkdir(parents=True)
    here, there = socket.socketpair()
    command = [sys.executable, "-m", "tests.bench.floors", str(there.fileno()), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(lab.REPOSITORY)}
    with here, subprocess.Popen(command, pass_fds=[there.fileno()], env=environment) as process:
        there.close()
        try:
            yield Pair(folder, here)
        finally:
            here.shutdown(socket.SHUT_RDWR)
            process.wait(10)


def tar_copy(source: Path, target: Path) -> float:
    """Copy a tree by `tar c | tar x`, and return how many seconds it took."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    began_s = time.perf_counter()
    with subprocess.Popen(["tar", "-cf", "-", "--exclude=./.git", "."], cwd=source, stdout=subprocess.PIPE) as packing:
        subprocess.run(["tar", "-xf", "-"], cwd=target, stdin=packing.stdout, check=True)
    took_s = time.perf_counter() - began_s
    shutil.rmtree(target)
    return took_s


def python_copy(source: Path, target: Path) -> float:
    """Copy a tree by reading and writing its files one after the other, and return how many seconds it took."""
    shutil.rmtree(target, ignore_errors=True)
    began_s = time.perf_counter()
    for path in corpus.files_of(source):
        into = target / path.relative_to(source)
        try:
            fd = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileNotFoundError:
            into.parent.mkdir(parents=True)
            fd = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.write(fd, path.read_bytes())
        finally:
            os.close(fd)
    took_s = time.perf_counter() - began_s
    shutil.rmtree(target)
    return took_s


def walk(*tops: Path) -> float:
    """Start a bare Python that looks at the status of every file, and return how many seconds that took."""
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-c", _WALK, *tops], check=True)
    return time.perf_counter() - began_s


@contextlib.contextmanager
def idle_process() -> Iterator[int]:
    """Run a Python that has imported what any agent needs, and does nothing; yield its process id."""
    with subprocess.Popen([sys.executable, "-c", _IDLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.stdin.close()


def _send(over: socket.socket, message: bytes) -> None:
    over.sendall(len(message).to_bytes(_LENGTH_BYTES, "big") + message)


def _receive(over: socket.socket) -> bytes:
    """Return the next message; empty when the other side has gone."""
    with over.makefile("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "big")
        return stream.read(length)


def _peer(over: socket.socket, folder: Path) -> None:
    """Be the other process."""
    stage, target = folder / "stage", folder / "target"
    while message := _receive(over):
        for name, digest, content in msgspec.msgpack.decode(message):
            assert hashlib.sha256(content).digest() == digest
            (stage / name).write_bytes(content)
            (stage / name).rename(target / name)
        _send(over, b"done")


if __name__ == "__main__":
    _peer(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
