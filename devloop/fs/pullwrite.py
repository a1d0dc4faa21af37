"""Writing what the pod brings back: the one place where devloop writes into the laptop's own files (rule 1).

A pulled file takes its place only where the laptop's is, right before the rename, exactly what the agent acked last.
Anything else there is someone's work: it stays, and the pod's version goes to `.devloop/conflicts/`. What is replaced
is kept by the caller's trash first; where that fails, nothing is replaced.

Everything is done relative to folder descriptors (`devloop.fs.dirfd`), so no link leads out of the root. The standard
library and msgspec's values only; knows nothing of links, engines or where the trash is.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from devloop.core import entry, paths
from devloop.fs import atomic, dirfd

CONFLICTS: Final = ".devloop/conflicts"

# So many different versions of one path are enough to look at.
MAX_CONFLICTS: Final = 100

# A part of the path is a link (ELOOP on Linux and macOS, EMLINK on FreeBSD) or no folder.
_NO_FOLDER: Final = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EMLINK})

# What opening a file says that went away, or became a link or a pipe, after we looked.
_SWAPPED: Final = _NO_FOLDER | {errno.ENOENT, errno.EINVAL}

# Characters that HFS+ ignores in names (git's is_hfs_dotgit), and that would make `.git` of another name.
_IGNORED: Final = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF],
)

# The 8.3 name of `.git` on Windows disks, which WSL2 mounts.
_ALIASES: Final = paths.RESERVED | {"git~1"}


class Outcome(msgspec.Struct, frozen=True):
    """What became of a pulled file.

    Attributes:
        conflict: Absolute path of the pod's version where it was not taken over; empty where it was, or where the
            laptop's file says the same already.
    """

    conflict: str = ""


def write_pulled(
    root: str,
    path: str,
    content: bytes,
    expected: entry.Entry | None,
    new: entry.Entry,
    keep: Callable[[str, str], str],
) -> Outcome:
    """Take a file over from the pod, or put it aside.

    Args:
        root: Absolute path of the sync's folder on the laptop.
        path: The file, relative to it.
        content: What the pod's file holds.
        expected: What the agent acked last, and so what may be replaced; None: there must be nothing.
        new: The entry of the pod's file.
        keep: Puts the old file into the trash before it is replaced; is given its path and its absolute path.

    Raises:
        OSError: The disk refused, or `keep` raised it; the laptop's file is untouched.
        UnsafePathError: The path could lead out of the root.
        ValueError: `new` is not the entry of a file with this content.
    """
    paths.check(path)
    if new != entry.file(hashlib.sha256(content).digest(), len(content), executable=new.executable):
        raise ValueError(f"{path}: the content is not that of the entry")
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with dirfd.Folders(root_fd) as folders:
            if _take_over(folders, root, path, content, expected, new, keep):
                return Outcome()
            return Outcome(os.path.join(root, _put_aside(folders, path, content, new)))
    finally:
        os.close(root_fd)


def _take_over(
    folders: dirfd.Folders,
    root: str,
    path: str,
    content: bytes,
    expected: entry.Entry | None,
    new: entry.Entry,
    keep: Callable[[str, str], str],
) -> bool:
    """Write the file in its place, and say whether the laptop has the pod's version now."""
    if _is_disguised(path):
        return False
    try:
        folder_fd = folders.get(paths.parent(path), make=expected is None)
    except OSError as error:
        if error.errno in _NO_FOLDER or (error.errno == errno.ENOENT and expected is not None):
            return False
        raise
    name = paths.name(path)
    if _is(folder_fd, name, new):
        return True
    if not _is(folder_fd, name, expected):
        return False
    with _temporary(folder_fd, name, content, executable=new.executable) as fresh:
        if expected is None:
            return _place_new(folder_fd, fresh, name)
        keep(path, os.path.join(root, path))
        _inherit_mode(folder_fd, fresh, name, executable=new.executable)
        # Keeping takes a while; what was edited meanwhile is not replaced.
        if not _is(folder_fd, name, expected):
            return False
        os.rename(fresh, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        return True


def _is(folder_fd: int, name: str, wanted: entry.Entry | None) -> bool:
    """Say whether a name is exactly this entry, and was not touched while we read it; None: nothing is there."""
    before = atomic.look(folder_fd, name)
    if before is None or wanted is None:
        return before is None and wanted is None
    if atomic.kind_of(before) is not entry.Kind.FILE or before.st_size != wanted.size:
        return False
    try:
        if atomic.entry_at(folder_fd, name, before) != wanted:
            return False
    except OSError as error:
        if error.errno in _SWAPPED:
            return False
        raise
    after = atomic.look(folder_fd, name)
    return after is not None and _version(after) == _version(before)


def _version(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _is_disguised(path: str) -> bool:
    """Say whether a segment is `.git` or `.devloop` to a file system that takes other spellings for the same name.

    The pod chooses the names; a file in `.GIT/hooks` on a Mac would be run by the next commit.
    """
    for segment in path.split("/"):
        plain = segment.translate(_IGNORED).casefold().partition(":")[0].rstrip(" .")
        if plain in _ALIASES:
            return True
    return False


@contextlib.contextmanager
def _temporary(folder_fd: int, name: str, content: bytes, *, executable: bool) -> Iterator[str]:
    """Write the content under a name that no watch takes up, and remove it at the end if it is still there."""
    fresh = _fitting(f".{name}", f".devloop-{secrets.token_hex(6)}~")
    atomic.write_new(folder_fd, fresh, content, atomic.file_mode(executable=executable))
    try:
        yield fresh
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder_fd)


def _fitting(name: str, suffix: str) -> str:
    """Return the name with the suffix, its end cut off where a file system would not take the whole."""
    while len(paths.to_wire(name + suffix)) > paths.MAX_SEGMENT_BYTES:
        name = name[:-1]
    return name + suffix


def _inherit_mode(folder_fd: int, fresh: str, name: str, *, executable: bool) -> None:
    """Give the new file the old one's mode, so that a private file stays private, and its own executable bit."""
    old = atomic.look(folder_fd, name)
    if old is not None:
        # The file is ours and was made a moment ago under a random name.
        os.chmod(fresh, stat.S_IMODE(old.st_mode) & 0o777, dir_fd=folder_fd)
        atomic.set_executable(folder_fd, fresh, executable=executable)


def _place_new(folder_fd: int, fresh: str, name: str) -> bool:
    """Give the file its name where that is free; say whether it was."""
    try:
        # A link, unlike a rename, never replaces what was made there meanwhile.
        os.link(fresh, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        return True
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links: a look right before the rename is what there is.
        if atomic.look(folder_fd, name) is not None:
            return False
        os.rename(fresh, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        return True


def _put_aside(folders: dirfd.Folders, path: str, content: bytes, new: entry.Entry) -> str:
    """Write the pod's version among the conflicts, and return its path below the root.

    Raises:
        OSError: It could not be written.
    """
    folder, folder_fd = _conflict_folder(folders, paths.parent(path))
    for number in range(MAX_CONFLICTS):
        name = _fitting(paths.name(path), f".{number}" if number else "")
        if _is(folder_fd, name, new):
            return f"{folder}/{name}"
        if atomic.look(folder_fd, name) is None:
            with _temporary(folder_fd, name, content, executable=new.executable) as fresh:
                if _place_new(folder_fd, fresh, name):
                    return f"{folder}/{name}"
    raise OSError(errno.EEXIST, f"there are {MAX_CONFLICTS} versions already; remove some", f"{CONFLICTS}/{path}")


def _conflict_folder(folders: dirfd.Folders, folder: str) -> tuple[str, int]:
    """Return the folder for a conflict and its descriptor: the conflicts' own where a conflict file is in the way."""
    wanted = paths.join(CONFLICTS, folder)
    try:
        return wanted, folders.get(wanted, make=True)
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
    return CONFLICTS, folders.get(CONFLICTS, make=True)
