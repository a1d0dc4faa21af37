"""Speaking to the app's launcher (scripts/launcher.sh, which tells the whole agreement) through a shared folder.

Orders go into its fifo, and what it says of the app is read from its state file. The folder is the app's as well, so
nothing in it is believed: links are not followed, sizes are bounded, and what does not parse counts as not there.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import Final

import msgspec

from devloop.core import exits

# PIPE_BUF is at least this everywhere (POSIX): a line that fits is written whole or not at all.
MAX_LINE_BYTES: Final = 512

_STATE: Final = re.compile(rb"([a-z]{1,16}) (\d{1,9}) (\d{1,9}) (\d{1,3}|-) (\d{1,9})\n")
_OPEN: Final = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW


class Told(msgspec.Struct, frozen=True):
    """What the launcher says.

    Attributes:
        phase: As scripts/launcher.sh names them.
        pid: The command's process in the launcher's view, or 0.
        starts: How often it was started by this launcher.
        status: How the last process ended (see `devloop.core.exits`); None before the first end.
        order: The number of the last order that was taken; 0 before the first.
    """

    phase: str
    pid: int
    starts: int
    status: int | None
    order: int


def parse(raw: bytes) -> Told | None:
    """Return what a state file says; None where it is none."""
    found = _STATE.fullmatch(raw)
    if found is None:
        return None
    status = None if found[4] == b"-" else exits.from_shell(int(found[4]))
    return Told(found[1].decode(), int(found[2]), int(found[3]), status, int(found[5]))


class Control:
    """The launcher's folder. Every call is a few system calls, and none waits.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, name: str) -> str:
        """Return the path of something in the folder."""
        return os.path.join(self.folder, name)

    def told(self) -> Told | None:
        """Return what the launcher says; None where no launcher listens."""
        if not self.order(""):
            return None
        raw = self.read("state")
        return parse(raw) if raw is not None else None

    def order(self, line: str) -> bool:
        """Give an order; an empty one only asks whether somebody listens.

        Returns:
            Whether a launcher listens and has room for it.
        """
        raw = f"{line}\n".encode()
        assert len(raw) <= MAX_LINE_BYTES
        try:
            # Without a reader this fails with ENXIO (fifo(7)).
            fd = os.open(self.path("ctl"), os.O_WRONLY | _OPEN)
        except OSError:
            return False
        try:
            return stat.S_ISFIFO(os.fstat(fd).st_mode) and (not line or os.write(fd, raw) == len(raw))
        except OSError:
            return False
        finally:
            os.close(fd)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file in the folder; None where there is none."""
        with contextlib.suppress(OSError):
            fd = os.open(self.path(name), os.O_RDONLY | _OPEN)
            try:
                if stat.S_ISREG(os.fstat(fd).st_mode):
                    return os.read(fd, MAX_LINE_BYTES)
            finally:
                os.close(fd)
        return None

    def write(self, name: str, text: str) -> None:
        """Make a new file in the folder.

        Raises:
            OSError: It cannot be made, or is there.
        """
        fd = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o640)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    def forget(self, *names: str) -> None:
        """Remove files, where they are there."""
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(self.path(name))
