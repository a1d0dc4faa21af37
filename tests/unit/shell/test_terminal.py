"""The terminal is raw while it is lent, and as it was afterwards, whatever happens in between."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from devloop.shell import terminal

REPO = Path(__file__).parents[3]


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    controller, terminal_fd = pty.openpty()
    yield controller, terminal_fd
    os.close(controller)
    os.close(terminal_fd)


def set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def test_the_size_is_columns_and_rows_and_none_where_nobody_knows(ends: tuple[int, int]) -> None:
    set_size(ends[0], 24, 80)
    assert terminal.Terminal(ends[1]).size() == (80, 24)
    set_size(ends[0], 0, 0)
    assert terminal.Terminal(ends[1]).size() is None
    with Path("/dev/null").open() as nothing:
        assert terminal.Terminal(nothing.fileno()).size() is None


def test_keys_are_handed_on_and_the_terminal_is_given_back(ends: tuple[int, int]) -> None:
    before = termios.tcgetattr(ends[1])
    with pytest.raises(RuntimeError), terminal.Terminal(ends[1]).raw():
        # What the line discipline would keep for itself: interrupt, suspend, stop, a key without a line's end.
        os.write(ends[0], b"\x03\x1a\x13q")
        assert os.read(ends[1], 100) == b"\x03\x1a\x13q"
        raise RuntimeError
    assert termios.tcgetattr(ends[1]) == before


def test_what_was_typed_ahead_is_not_thrown_away(ends: tuple[int, int]) -> None:
    os.write(ends[0], b"ahead\n")
    with terminal.Terminal(ends[1]).raw():
        assert os.read(ends[1], 100) == b"ahead\n"


def test_a_terminal_that_is_gone_is_no_error() -> None:
    controller, terminal_fd = pty.openpty()
    with terminal.Terminal(terminal_fd).raw():
        os.close(controller)
    os.close(terminal_fd)
    with terminal.Terminal(terminal_fd).raw():
        pass


_STOPPING = """
import os, sys, termios
from devloop.shell import terminal
mine = terminal.Terminal(0)
with mine.raw():
    sys.stdout.write("raw\\n"); sys.stdout.flush()
    mine.stop()
    sys.stdout.write("cooked\\n" if termios.tcgetattr(0)[3] & termios.ICANON else "again raw\\n")
    sys.stdout.flush()
"""


def test_a_stopped_process_gives_it_back_and_takes_it_again(ends: tuple[int, int]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _STOPPING], stdin=ends[1], stdout=subprocess.PIPE, cwd=REPO, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "raw\n"
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert termios.tcgetattr(ends[1])[3] & termios.ICANON
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "again raw\n"
    assert termios.tcgetattr(ends[1])[3] & termios.ICANON
