"""One look at the disk: what is there now, as notes that change nothing until the scanner takes them over.

A `Look` is made for one scan. It reads the disk, the ignore rules, the stat cache and what the scanner knows, and
writes down its findings. If the root turns out to be lost, the notes are thrown away and nothing has happened.

Mount points below the root are followed, as git does; so is nothing else: a folder is opened with `O_NOFOLLOW`, so
that one which is swapped for a link in the middle of a walk is not entered.
"""

from __future__ import annotations

import errno as errnos
import os
import stat
import time
from typing import Final, NamedTuple

from devloop.core import entry, paths, problem
from devloop.core.entry import Entry
from devloop.core.problem import Problem, Reason
from devloop.fs import links, rootguard, scanstate, statcache

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# Links to folders inside followed folders multiply; nobody nests them deeper by intention.
MAX_NESTED_FOLLOWS: Final = 4

_GONE: Final = frozenset({errnos.ENOENT, errnos.ENOTDIR})


class Pending(NamedTuple):
    """A file that must be read: its stamp as listed, and its size in bytes."""

    stamp: bytes
    size: int


class Look:
    """One look, and its notes.

    Args:
        setup: What the scanner was made with.
        known: What it knows.

    Attributes:
        listed: Folders whose known children differ from before.
        members: Single paths that are, or are not, known children of their parent.
        found: Entries to put; some may equal what is known.
        pending: Files to read.
        lost: Paths that are no longer there, with everything below them.
        unentered: Paths that are there, but are no entry, nor is anything below them.
        flattened: Paths that are no folder (any more): nothing is below them.
        problems: Trouble seen.
        clean: Paths that had trouble, and have none now.
        hollow: Whether an ignored folder is walked, for those whose state was seen.
        again: Paths that must be looked at once more, later.
        scanned: How many paths were judged.
    """

    def __init__(self, setup: scanstate.Setup, known: scanstate.Known) -> None:
        self._setup = setup
        self._known = known
        self._now_ns = time.time_ns()
        self.listed: dict[str, set[str]] = {}
        self.members: dict[str, bool] = {}
        self.found: dict[str, Entry] = {}
        self.pending: dict[str, Pending] = {}
        self.lost: list[str] = []
        self.unentered: list[str] = []
        self.flattened: list[str] = []
        self.problems: dict[str, Problem] = {}
        self.clean: list[str] = []
        self.hollow: dict[str, bool] = {}
        self.again: set[str] = set()
        self.scanned = 0
        self._names: dict[str, frozenset[str]] = {}
        self._folders: dict[str, bool] = {}

    def walk(self, top: str) -> None:
        """List a folder and everything below it; the folder itself is already judged.

        Raises:
            RootLost: It is the root, and cannot be listed.
        """
        stack = [top]
        while stack:
            self._list(stack.pop(), stack)

    def at(self, path: str) -> None:
        """Look at one path whose parent was listed and entered, and at everything below it if it is a folder."""
        self.scanned += 1
        try:
            status = self._status(path)
        except OSError as error:
            self.members[path] = self._unseen(path, error)
            return
        folders: list[str] = []
        is_folder = stat.S_ISDIR(status.st_mode)
        self.members[path] = self._admits(path, is_folder) and self._judge(path, status, folders)
        if not self.members[path]:
            self.lost.append(path)
        for folder in folders:
            self.walk(folder)

    def is_there(self, path: str) -> bool:
        """Say whether something has this very path, without a link on the way but for those that are followed."""
        folder = paths.parent(path)
        if folder and folder not in self._folders:
            self._folders[folder] = folder in self._known.follows or (self.is_there(folder) and self._is_folder(folder))
        if folder and not self._folders[folder]:
            return False
        try:
            self._status(path)
        except OSError:
            return False
        return True

    def _is_folder(self, path: str) -> bool:
        try:
            return stat.S_ISDIR(self._status(path).st_mode)
        except OSError:
            return False

    def _status(self, path: str) -> os.stat_result:
        """Return a single path's status; the path is exactly the name that its folder lists.

        Raises:
            OSError: There is none.
        """
        folder, name = paths.parent(path), paths.name(path)
        above = scanstate.locate(self._setup.root, self._known.follows, folder)
        if self._setup.loose_names:
            if folder not in self._names:
                self._names[folder] = frozenset(os.listdir(above))
            if name not in self._names[folder]:
                raise FileNotFoundError(errnos.ENOENT, os.strerror(errnos.ENOENT), path)
        return os.lstat(f"{above}/{name}")

    def _list(self, folder: str, stack: list[str]) -> None:
        """Judge a folder's children, and push the folders among them."""
        try:
            fd = self._open(folder)
        except OSError as error:
            self._unlistable(folder, error)
            return
        try:
            here = self._children(folder, fd, stack)
        except OSError as error:
            self._unlistable(folder, error)
            return
        finally:
            os.close(fd)
        before = self._known.children.get(folder)
        if here != before:
            self.listed[folder] = here
            if before:
                self.lost.extend(before - here)

    def _open(self, folder: str) -> int:
        flags = _FOLDER_FLAGS
        if folder in self._known.follows or not folder:
            # The root, and what a followed link leads to, are resolved on purpose.
            flags &= ~os.O_NOFOLLOW
        return os.open(scanstate.locate(self._setup.root, self._known.follows, folder), flags)

    def _children(self, folder: str, fd: int, stack: list[str]) -> set[str]:
        """Return the children to know. This is the loop that runs once for every path of a tree."""
        prefix = f"{folder}/" if folder else ""
        hit, tree, children = self._setup.cache.hit, self._known.tree, self._known.children
        ignored, problems, stamp, found = self._setup.ignore.ignored, self._known.problems, statcache.stamp, self.found
        plain = self._setup.symlinks is not links.Symlinks.FOLLOW
        here: set[str] = set()
        with os.scandir(fd) as listing:
            entries = list(listing)
            self._setup.ignore.enter(folder, {child.name for child in entries})
            for child in entries:
                name = child.name
                if name in paths.RESERVED:
                    continue
                path = prefix + name
                self.scanned += 1
                try:
                    is_folder = child.is_dir(follow_symlinks=False)
                    if (is_folder or ignored(path, False).ignored) and not self._admits(path, is_folder):
                        continue
                    status = child.stat(follow_symlinks=False)
                except OSError as error:
                    if self._unseen(path, error):
                        here.add(path)
                    continue
                if plain and stat.S_ISREG(status.st_mode) and path not in problems:
                    # The common case, spelled out: a file that was proven before. It is what `_judge` would find.
                    proven = hit(path, stamp(status))
                    if proven is not None and path not in children:
                        if tree.get(path) is not proven:
                            found[path] = proven
                        here.add(path)
                        continue
                if self._judge(path, status, stack):
                    here.add(path)
        return here

    def _admits(self, path: str, is_folder: bool) -> bool:
        """Say whether the ignore rules let a path be an entry, or a hollow folder."""
        ignore = self._setup.ignore
        if not ignore.ignored(path, is_folder).ignored:
            if self._known.hollow and path in self._known.hollow:
                self.hollow[path] = False
            return True
        if is_folder and ignore.may_descend(path):
            self.hollow[path] = True
            return True
        return False

    def _judge(self, path: str, status: os.stat_result, stack: list[str]) -> bool:
        """Note what one path is; say whether it is to be known."""
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFLNK:
            return self._link(path, stack)
        self._known.follows.pop(path, None)
        self._known.refused.discard(path)
        return self._thing(path, status, stack)

    def _thing(self, path: str, status: os.stat_result, stack: list[str]) -> bool:
        """Note a path that is no link, or what a followed one leads to."""
        self._setup.ticks.see(status.st_dev, status.st_ctime_ns, self._now_ns)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            self._fine(path)
            stack.append(path)
            if not self.hollow.get(path, False) and self._known.tree.get(path) is not entry.FOLDER:
                self.found[path] = entry.folder()
            return True
        if kind == stat.S_IFREG:
            self._file(path, status)
            return True
        self._refuse(path, Reason.SPECIAL, f"{_named(kind)}: only files, folders and links are synced")
        return True

    def _file(self, path: str, status: os.stat_result) -> None:
        stamp = statcache.stamp(status)
        proven = self._setup.cache.hit(path, stamp)
        if proven is None:
            # Its old entry, and its problem if it has one, stay until the file has been read.
            self.pending[path] = Pending(stamp, status.st_size)
            return
        self._flat(path)
        self._fine(path)
        self.found[path] = proven

    def _link(self, path: str, stack: list[str]) -> bool:
        if self._setup.symlinks is links.Symlinks.SKIP:
            return False
        above = scanstate.locate(self._setup.root, self._known.follows, paths.parent(path))
        absolute = f"{above}/{paths.name(path)}"
        try:
            if self._setup.symlinks is links.Symlinks.FOLLOW:
                return self._follow(path, absolute, stack)
            target = os.fsencode(os.readlink(absolute))
        except OSError as error:
            return self._unseen(path, error)
        why = links.refusal(path, target)
        if why:
            self._refuse(path, Reason.LINK_ESCAPES, why)
            return True
        self._flat(path)
        self._fine(path)
        self.found[path] = entry.link(target)
        return True

    def _follow(self, path: str, absolute: str, stack: list[str]) -> bool:
        """Take a link for what it leads to.

        Raises:
            OSError: The link was swapped for something else just now.
        """
        self._known.follows.pop(path, None)
        self._known.refused.add(path)
        try:
            real = os.path.realpath(absolute, strict=True)
            status = os.stat(real)
        except OSError as error:
            why = error.strerror or str(error)
            self._refuse(path, Reason.UNREADABLE, f"the link leads nowhere: {why}", error.errno or 0)
            return True
        why = links.beyond(real, self._setup.boundary)
        if why:
            self._refuse(path, Reason.LINK_ESCAPES, why)
            return True
        if stat.S_ISDIR(status.st_mode):
            if not self._admits(path, True):
                return False
            why = self._endless(path, status)
            if why:
                self._refuse(path, Reason.SPECIAL, why)
                return True
        self._known.follows[path] = real
        self._known.refused.discard(path)
        return self._thing(path, status, stack)

    def _endless(self, path: str, status: os.stat_result) -> str:
        """Say why a folder is not entered through a link; empty if it may be."""
        nested = 0
        for above in (*paths.ancestors(path), ""):
            nested += above in self._known.follows
            seen = os.stat(scanstate.locate(self._setup.root, self._known.follows, above))
            if (seen.st_dev, seen.st_ino) == (status.st_dev, status.st_ino):
                return f"the link leads back to a folder that holds it: {above or 'the root'}"
        if nested >= MAX_NESTED_FOLLOWS:
            return f"more than {MAX_NESTED_FOLLOWS} followed links within each other"
        return ""

    def _unlistable(self, folder: str, error: OSError) -> None:
        """Note that a folder could not be listed. What was known in it stays, unless the folder itself is gone."""
        if not folder:
            raise rootguard.RootLost(self._setup.root, rootguard.lost_by(error)) from error
        self.hollow.pop(folder, None)
        if error.errno == errnos.ENOENT:
            self.found.pop(folder, None)
            self.lost.append(folder)
        elif error.errno in {errnos.ENOTDIR, errnos.ELOOP, errnos.EMLINK}:
            # Swapped for a file or a link since its parent was listed.
            self.found.pop(folder, None)
            self.again.add(folder)
        else:
            self.problems[folder] = problem.from_read_error(folder, error)

    def _unseen(self, path: str, error: OSError) -> bool:
        """Note that a path has no status; say whether it is to be known all the same."""
        if error.errno in _GONE:
            self.lost.append(path)
            return False
        if error.errno == errnos.EINVAL:
            # It was a link a moment ago.
            self.again.add(path)
        else:
            self.problems[path] = problem.from_read_error(path, error)
        return True

    def _refuse(self, path: str, reason: Reason, detail: str, errno: int = 0) -> None:
        self.problems[path] = Problem(path, reason, detail, errno=errno)
        self.unentered.append(path)

    def _fine(self, path: str) -> None:
        if path in self._known.problems:
            self.clean.append(path)

    def _flat(self, path: str) -> None:
        if path in self._known.children:
            self.flattened.append(path)


def _named(kind: int) -> str:
    return {
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFBLK: "a block device",
        stat.S_IFCHR: "a character device",
    }.get(kind, "not a file")
