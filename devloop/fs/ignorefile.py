"""One ignore file on the disk: its rules, read again only when the file changed.

`devloop.fs.ignore` keeps one of these for every file that it found. A file that is there but cannot be read keeps
the rules it had, and says so: an error is never "no rules", because that would ship what was meant to stay.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Final

from devloop.core import problem, rules

MAX_BYTES: Final = 4 * 1024 * 1024
"""Far above any ignore file; below what would make matching slow. git itself stops at 100 MiB."""

# A file that was written this shortly before it was read may be written again without a visible change of its
# times: file systems count in steps of up to 2 s (FAT). It is read again the next time.
_SETTLED_NS: Final = 2_000_000_000

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR})


class IgnoreFile:
    """An ignore file and the rules it had when it was last readable. Not safe for use from several threads.

    Args:
        path: Absolute.
        layer: The precedence of its rules.
        base: See `rules.Rule.base`.
        label: What people call it.
        follow: A symlink is followed. git does so for its own files but not in the work tree (since 2.32).

    Attributes:
        rules: Its rules; none while there is no file.
        problem: Why it cannot be read, or None.
        exists: It was there when it was last looked at.
    """

    __slots__ = ("_flags", "_seen", "base", "exists", "label", "layer", "path", "problem", "rules")

    def __init__(self, path: str, layer: rules.Layer, base: bytes, label: str, *, follow: bool) -> None:
        self.path = path
        self.layer = layer
        self.base = base
        self.label = label
        self.rules: tuple[rules.Rule, ...] = ()
        self.problem: problem.Problem | None = None
        self.exists = False
        self._seen: tuple[int, ...] | None = None
        # without O_NONBLOCK a FIFO of this name would block the program
        self._flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)

    def refresh(self) -> bool:
        """Read the file if it is not the one that was read last.

        Returns:
            Whether the rules changed.
        """
        try:
            descriptor = os.open(self.path, self._flags)
        except OSError as error:
            return self._fail(error)
        try:
            content = self._read(descriptor)
        except OSError as error:
            return self._fail(error)
        finally:
            os.close(descriptor)
        self.exists = True
        self.problem = None
        return content is not None and self._replace(rules.parse(content, self.base, self.label))

    def _read(self, descriptor: int) -> bytes | None:
        """Return the content, or None where it is known."""
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        if found.st_size > MAX_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_BYTES} bytes")
        seen = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
        if seen == self._seen:
            return None
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES)
        self._seen = seen if time.time_ns() - found.st_mtime_ns > _SETTLED_NS else None
        return content

    def _fail(self, error: OSError) -> bool:
        self._seen = None
        if error.errno in _ABSENT:
            self.exists = False
            self.problem = None
            return self._replace(())
        self.exists = True
        reason = "a link, which git does not follow here" if error.errno == errno.ELOOP else error.strerror
        kept = "the rules it had are kept" if self.rules else "its rules are not known"
        detail = f"this ignore file cannot be read ({reason}); {kept}"
        self.problem = problem.Problem(self.label, problem.Reason.UNREADABLE, detail, errno=error.errno or 0)
        return False

    def _replace(self, found: tuple[rules.Rule, ...]) -> bool:
        changed = found != self.rules
        self.rules = found
        return changed
