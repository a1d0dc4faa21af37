"""Single keys from the terminal, without Enter: which were pressed, and the terminal's state before and after.

The terminal is put into cbreak mode, in which Ctrl-C and Ctrl-Z stay signals. It is given back when the keyboard is
closed, when the process ends by an error or normally, and while it is stopped by Ctrl-Z.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import termios
import tty
from collections.abc import Callable
from typing import Any, Final

# What the keys mean; the names are those of the commands that do the same.
NAMES: Final = {
    "a": "approve",
    "p": "pause",
    "r": "restart",
    "f": "flush",
    "d": "diff",
    "q": "quit",
    "?": "help",
    "h": "help",
    # Ctrl-C and Ctrl-D as characters: where the terminal does not make a signal of the former.
    "\x03": "quit",
    "\x04": "quit",
}

_READ_BYTES: Final = 1024
_ESC: Final = 0x1B


def decode(raw: bytes) -> list[str]:
    """Return the names of the keys in what a terminal sent; what means nothing is left out.

    Arrows, function keys and pasted text with escape sequences come as an ESC and more: the rest of such input is
    ignored, because letters in it are no keys.
    """
    found = []
    for byte in raw:
        if byte == _ESC:
            break
        name = NAMES.get(chr(byte).lower())
        if name is not None:
            found.append(name)
    return found


class Keyboard:
    """Reads keys from a terminal.

    Must be made and closed in the event loop's thread, in a process that may change the terminal: one in the
    foreground. In the background it reads nothing until `resume`.

    Args:
        fd: The terminal's file descriptor.
        on_key: Called with a key's name, from the event loop.
    """

    def __init__(self, fd: int, on_key: Callable[[str], None]) -> None:
        self._fd = fd
        self._on_key = on_key
        self._loop = asyncio.get_running_loop()
        self._before: list[Any] | None = None
        self.resume()

    @property
    def active(self) -> bool:
        """Whether keys are being read."""
        return self._before is not None

    def resume(self) -> None:
        """Take the terminal, again after `suspend`."""
        if self._before is not None or not _is_foreground(self._fd):
            return
        self._before = termios.tcgetattr(self._fd)
        atexit.register(self._restore)
        tty.setcbreak(self._fd, termios.TCSANOW)
        self._loop.add_reader(self._fd, self._read)

    def suspend(self) -> None:
        """Give the terminal back."""
        if self._before is None:
            return
        self._loop.remove_reader(self._fd)
        self._restore()
        atexit.unregister(self._restore)
        self._before = None

    close = suspend

    def _restore(self) -> None:
        if self._before is not None:
            with contextlib.suppress(termios.error, OSError), _tty_output_allowed():
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        try:
            raw = os.read(self._fd, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            raw = b""
        if not raw:
            # The terminal is gone: there will be no more keys.
            self.suspend()
            return
        for name in decode(raw):
            self._on_key(name)


def _is_foreground(fd: int) -> bool:
    """Say whether this process may change the terminal without being stopped for it."""
    try:
        return os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


@contextlib.contextmanager
def _tty_output_allowed() -> Any:
    """Let the terminal's mode be set even from the background, where the system would stop us."""
    try:
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    except ValueError:
        # Not in the main thread.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTTOU, before)
