"""The laptop's terminal while it belongs to a program in a container: raw, and given back whatever happens.

Nothing that was typed ahead is thrown away, neither on the way in nor on the way out.
"""

from __future__ import annotations

import contextlib
import os
import signal
import termios
import tty
from collections.abc import Iterator
from typing import Any


class Terminal:
    """A terminal by its descriptor.

    Args:
        fd: Its descriptor, for reading.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    def size(self) -> tuple[int, int] | None:
        """Return columns and rows; None where the terminal does not know, as some are 0x0."""
        try:
            columns, rows = os.get_terminal_size(self._fd)
        except OSError:
            return None
        return (columns, rows) if columns > 0 and rows > 0 else None

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Hand every key on, as long as the block runs."""
        try:
            self._before = termios.tcgetattr(self._fd)
        except termios.error:
            # It was taken away in the moment before: there is nothing to give back.
            yield
            return
        try:
            self._become_raw()
            yield
        finally:
            self._restore()
            self._before = None

    def stop(self) -> None:
        """Give the terminal back and stop this process, as Ctrl-Z does to others; return when it is continued."""
        self._restore()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.resumed()

    def resumed(self) -> None:
        """This process goes on: take the terminal again, if it is ours to take."""
        if self._before is not None and self._is_foreground():
            self._become_raw()

    def _become_raw(self) -> None:
        with contextlib.suppress(termios.error):
            tty.setraw(self._fd, termios.TCSANOW)

    def _restore(self) -> None:
        if self._before is not None and self._is_foreground():
            # A terminal that is gone needs nothing.
            with contextlib.suppress(termios.error):
                # Not TCSADRAIN: a terminal that does not read would never be given back.
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)

    def _is_foreground(self) -> bool:
        """Say whether this process may change the terminal without being stopped for it."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            # Not our controlling terminal: then there is nobody who would stop us.
            return True
