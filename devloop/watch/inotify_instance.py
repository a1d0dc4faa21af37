"""One inotify instance: watchdog's descriptor class with its thread, its wake-up pipe and its parser, and our marks.

This is the lowest layer of watchdog, and of it the members that are not public are used here alone:
`tests/unit/watch/test_inotify_instance.py` names each of them and fails when watchdog changes.
"""

from __future__ import annotations

import collections
import ctypes
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Final

from watchdog.observers import inotify_c

CONSTANTS: Final = inotify_c.InotifyConstants

# The thread reads faster than a program writes files, so a burst would cost a whole round of it per event. After this
# many reads in close succession it rests after each, and the kernel's queue gathers. No editor's save is that long.
_BUSY_READS: Final = 24
_BUSY_GAP_S: Final = 0.005
_BUSY_REST_S: Final = 0.002

_STOP_TIMEOUT_S: Final = 10.0


class Instance(inotify_c.InotifyFD):
    """An inotify instance with a thread that hands over what each read returned as a whole.

    Args:
        handle: Takes the raw bytes of one read; called in the thread.
        failed: Told why, when the thread ends by an error.

    Raises:
        OSError: The system gives no further instance (EMFILE), or knows no inotify.
    """

    def __init__(self, handle: Callable[[bytes], None], failed: Callable[[str], None]) -> None:
        super().__init__()
        self.name = "devloop-inotify"
        self._on_raw = handle
        self._failed = failed
        self._commands: collections.deque[Callable[[], None]] = collections.deque()
        # watchdog's instance would be inherited by a child process that keeps descriptors open.
        os.set_inheritable(self._inotify_fd, False)

    def watch(self, path: bytes, mask: int) -> int:
        """Watch a path, or change the mask of its watch.

        Returns:
            The watch's descriptor: the same for the same folder, and never used again after a watch's end.

        Raises:
            OSError: Among others ENOSPC where the limit is reached.
        """
        return _add_watch(self._inotify_fd, path, mask)

    def unwatch(self, wd: int) -> None:
        """Remove a watch. The kernel removes those of what was deleted itself, so one that it does not know is fine."""
        inotify_c.inotify_rm_watch(self._inotify_fd, inotify_c.WatchDescriptor(wd))

    def call(self, command: Callable[[], None]) -> None:
        """Have something done in the thread, in turn with the events."""
        self._commands.append(command)
        os.write(self._kill_w, b"!")

    def on_thread_stop(self) -> None:
        """Wake the thread. watchdog would close the instance here, under the feet of a thread that adds watches."""
        os.write(self._kill_w, b"!")

    def end(self) -> None:
        """Stop the thread if it runs, wait for it, and give the instance back with all its watches."""
        if self.ident is not None:
            self.stop()
            self.join(_STOP_TIMEOUT_S)
        if self.is_alive():
            # It hangs in a file system that does not answer; closing its descriptors would hit whoever gets them next.
            return
        self._is_reading = False
        self.close()

    def run(self) -> None:
        """Read and hand over until stopped. This thread's supervisor: an error is told, never lost."""
        in_a_row, last_s = 0, 0.0
        try:
            while self.should_keep_running():
                raw = self._read_event_buffer(inotify_c.DEFAULT_EVENT_BUFFER_SIZE)
                # Commands first: a mark that was sent after one must not overtake what that one tells.
                while self._commands:
                    os.read(self._kill_r, 1)
                    self._commands.popleft()()
                self._on_raw(raw)
                before_s, last_s = last_s, time.monotonic()
                in_a_row = in_a_row + 1 if last_s - before_s < _BUSY_GAP_S else 0
                if in_a_row > _BUSY_READS:
                    self._stopped_event.wait(_BUSY_REST_S)
        except Exception as error:
            self._failed(f"{type(error).__name__}: {error}")


class Marks:
    """A nameless file that is watched for nothing but what is written to it here.

    Its name is gone before anything is written, so nothing is left behind even by a kill. The kernel merges equal
    events, so only one write is under way at a time, and the marks asked for meanwhile wait for it to come back.

    Args:
        file: The open file.
        wd: Its watch.
    """

    def __init__(self, file: int, wd: int) -> None:
        self.wd = wd
        self._file = file
        self._under_way: list[str] = []
        self._waiting: list[str] = []

    @classmethod
    def make(cls, instance: Instance) -> Marks | None:
        """Return the marks of an inotify instance; None where it cannot have any."""
        try:
            file, name = tempfile.mkstemp(prefix="devloop-mark-")
        except OSError:
            return None
        try:
            return cls(file, instance.watch(os.fsencode(name), CONSTANTS.IN_MODIFY))
        except OSError:
            os.close(file)
            return None
        finally:
            os.unlink(name)

    def send(self, token: str) -> None:
        """Send a mark now, or after the one that is under way."""
        self._waiting.append(token)
        if not self._under_way:
            self._send_waiting()

    def came(self) -> list[str]:
        """Return the marks that have come back, and send those that waited."""
        came, self._under_way = self._under_way, []
        if self._waiting:
            self._send_waiting()
        return came

    def restart(self, instance: Instance) -> list[str]:
        """Start anew after events were lost, perhaps a mark's among them.

        The new watch has a new descriptor, so that a late event of the old one cannot be taken for a later mark's.

        Returns:
            The marks under way and waiting; the rescan of everything that follows a loss covers what they stand for.
        """
        covered = self._under_way + self._waiting
        self._under_way, self._waiting = [], []
        instance.unwatch(self.wd)
        try:
            self.wd = instance.watch(b"/proc/self/fd/%d" % self._file, CONSTANTS.IN_MODIFY)
        except OSError:
            # Someone else took the watch: marks do not come back any more, and flushes rescan at their deadline.
            self.wd = -1
        return covered

    def close(self) -> None:
        """Give the file back, and with it its space."""
        os.close(self._file)

    def _send_waiting(self) -> None:
        self._under_way, self._waiting = self._waiting, []
        os.pwrite(self._file, b"!", 0)


def parse(raw: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield descriptor, mask, cookie and name of each event that a read returned."""
    yield from inotify_c.InotifyFD._parse_event_buffer(raw)


def _add_watch(instance: int, path: bytes, mask: int) -> int:
    wd = inotify_c.inotify_add_watch(instance, path, mask)
    if wd == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return wd
