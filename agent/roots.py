"""The folders that one sync lives in on the pod side, and what must be true of them.

A root has three folders on one file system: `data`, which the app sees; `stage`, where bodies wait; `state`, where
the manifest, the journal and the tree id are. They come from the agent's own command line, never from the wire.
Opening a root makes what is missing and finds out what the file system can do, so that trouble is told once, at the
start, by its cause (`agent.guard`, `agent.probe`). `agent.applier` and `agent.sweep` work on the open descriptors.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from typing import Final, Self

import msgspec

from agent import guard, probe
from devloop import errors
from devloop.core import paths

_CHOOSE: Final = "choose a folder that holds nothing but your application"

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class RootSpec(msgspec.Struct, frozen=True):
    """One root, as the agent's command line names it.

    Attributes:
        to: What people call it: the sync's `to`, such as `/app`.
        data: Absolute path of the folder that the app sees.
        stage: Absolute path of a folder on the same mount, outside `data`, for bodies that wait. Where all of the
            mount is `data`, it lies in the folder `.devloop` there.
        state: Absolute path of a folder that is kept as long as `data` is; likewise.
        keep: Paths below `data` where the app's container has something else mounted. The agent sees only the mount
            points: a file there would be hidden from the app, and one that is removed takes the mount along.
    """

    to: str
    data: str
    stage: str
    state: str
    keep: tuple[str, ...] = ()

    def keeps(self, path: str) -> bool:
        """Say whether a path, relative to `data`, is a mount point or lies beneath one."""
        return any(_within(path, kept) for kept in self.keep)

    def holds_kept(self, path: str) -> bool:
        """Say whether a path is a folder on the way to a mount point."""
        return any(_within(kept, path) and kept != path for kept in self.keep)


def parse_specs(raw: str | bytes) -> tuple[RootSpec, ...]:
    """Return the roots of a JSON list.

    Raises:
        errors.AgentError: It is no such list, is empty, names a folder that is not absolute, or folders that overlap.
    """
    try:
        specs = msgspec.json.decode(raw, type=tuple[RootSpec, ...])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.AgentError(f"the roots on the command line cannot be read: {error}") from error
    if not specs:
        raise errors.AgentError("the agent was started without any root")
    for spec in specs:
        check_spec(spec)
    for at, spec in enumerate(specs):
        for other in specs[at + 1 :]:
            if any(_within(one, two) or _within(two, one) for one in _folders(spec) for two in _folders(other)):
                raise errors.AgentError(
                    f"the roots {spec.to} and {other.to} overlap", hint="give each sync folders of its own"
                )
    return specs


def check_spec(spec: RootSpec) -> None:
    """Refuse folders that devloop must never write to, by their names.

    Raises:
        errors.AgentError: A folder is relative, belongs to the system, or `stage` or `state` lies in `data` other than
            in its `.devloop`, which is never an entry.
    """
    for folder in _folders(spec):
        if not folder.startswith("/") or "\0" in folder:
            raise errors.AgentError(f"{folder!r} of the root {spec.to} is not an absolute path")
    for kept in spec.keep:
        try:
            paths.check(kept)
        except paths.UnsafePathError as unsafe:
            raise errors.AgentError(f"{kept!r} of the root {spec.to} cannot be kept: {unsafe.reason}") from unsafe
    for folder in (spec.data, spec.to):
        if guard.is_system_folder(folder):
            raise errors.AgentError(f"devloop does not sync to {folder}", hint=_CHOOSE)
    for folder in (spec.stage, spec.state):
        if _within(spec.data, folder) or (_within(folder, spec.data) and not _is_hidden(folder, spec.data)):
            raise errors.AgentError(f"{folder} and the synced folder {spec.data} must not contain each other")


class Root:
    """An open root. Made by `Root.open`; not safe for use from several threads.

    Attributes:
        spec: Where it is.
        tree_id: Identifies the content of this volume: 32 hex digits, made when `state` was.
        data_fd: Descriptor of `data`.
        stage_fd: Descriptor of the private folder in `stage` that bodies wait in.
        case_sensitive: `a` and `A` are two names here.
        modes: How executable bits are set.
        writes_at_rename: See `probe.Abilities`.
    """

    def __init__(self, spec: RootSpec) -> None:
        self.spec = spec
        self.tree_id = ""
        self.data_fd = -1
        self.stage_fd = -1
        self.case_sensitive = True
        self.modes = probe.ModeSupport.BY_OPEN
        self.writes_at_rename = False
        self._lock_fd = -1

    @classmethod
    def open(cls, spec: RootSpec) -> Self:
        """Check, make and probe the folders of a root, and lock them for this process.

        Raises:
            errors.AgentError: It cannot be used; message and hint name the path, the user and the system's error.
        """
        check_spec(spec)
        root = cls(spec)
        try:
            root._open()
        except BaseException:
            root.close()
            raise
        return root

    def is_empty(self) -> bool:
        """Say whether nothing but `.devloop` is in `data`; what cannot be listed is not empty."""
        try:
            with os.scandir(self.data_fd) as listing:
                return all(each.name == paths.DEVLOOP for each in listing)
        except OSError:
            return False

    def reopen_if_replaced(self) -> bool:
        """Open `data` anew if it was removed or replaced since, and say whether it was.

        Raises:
            errors.AgentError: As `open`.
        """
        held = os.fstat(self.data_fd)
        try:
            there = os.stat(self.spec.data)
        except OSError:
            there = None
        if there is not None and (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino):
            return False
        fresh = _open_data(self.spec)
        os.close(self.data_fd)
        self.data_fd = fresh
        self._check_mounts()
        return True

    def close(self) -> None:
        """Close all descriptors and give up the lock."""
        for fd in (self.data_fd, self.stage_fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self.data_fd = self.stage_fd = self._lock_fd = -1

    def state_file(self, name: str) -> str:
        """Return the path of a file in the state folder."""
        return os.path.join(self.spec.state, name)

    def free_bytes(self) -> int:
        """Return how much may still be written where bodies are staged."""
        info = os.fstatvfs(self.stage_fd)
        return info.f_bavail * info.f_frsize

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        self.data_fd = _open_data(self.spec)
        os.close(_open_folder(self.spec, self.spec.state, "state"))
        self._lock_fd = _lock(self.spec, self.state_file("lock"))
        self.tree_id = _tree_id(self.spec, self.state_file("tree-id"))
        stage_fd = _open_folder(self.spec, self.spec.stage, "stage")
        try:
            self.stage_fd = _private_folder(self.spec, stage_fd)
        finally:
            os.close(stage_fd)
        self._check_mounts()
        self._probe()

    def _check_mounts(self) -> None:
        if not probe.same_mount(self.stage_fd, self.data_fd):
            raise errors.AgentError(
                f"{self.spec.stage} and {self.spec.data} are not on the same mount (EXDEV), so files cannot be replaced"
                " atomically",
                hint="mount the volume once, with both folders in it",
            )

    def _probe(self) -> None:
        try:
            probe.try_to_write(self.data_fd)
        except OSError as error:
            raise _not_usable(self.spec, self.spec.data, "synced", error) from error
        try:
            found = probe.abilities(self.stage_fd)
        except OSError as error:
            raise _not_usable(self.spec, self.spec.stage, "stage", error) from error
        self.case_sensitive, self.modes = found.case_sensitive, found.modes
        self.writes_at_rename = found.writes_at_rename


# Inside `stage`, so that bodies are private although they have their final modes, whoever made the folder itself.
_PRIVATE: Final = "bodies"


def _folders(spec: RootSpec) -> tuple[str, str, str]:
    return spec.data, spec.stage, spec.state


def _within(path: str, folder: str) -> bool:
    path, folder = os.path.normpath(path), os.path.normpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _is_hidden(folder: str, data: str) -> bool:
    """Say whether a folder in `data` lies in one that is never synced."""
    first = os.path.relpath(os.path.normpath(folder), os.path.normpath(data)).split("/")[0]
    return first == paths.DEVLOOP


def _open_data(spec: RootSpec) -> int:
    fd = _open_folder(spec, spec.data, "synced")
    info = os.fstat(fd)
    for system in sorted(guard.SYSTEM):
        # By identity too: a link or a bind mount could lead there under another name.
        with contextlib.suppress(OSError):
            there = os.stat(guard.other_root(spec.data) + system)
            if (there.st_dev, there.st_ino) == (info.st_dev, info.st_ino):
                os.close(fd)
                raise errors.AgentError(f"{spec.data} is {system}, and devloop does not sync to {system}", hint=_CHOOSE)
    return fd


def _open_folder(spec: RootSpec, path: str, what: str) -> int:
    """Make a folder if it is missing, and return its descriptor."""
    try:
        os.makedirs(path, mode=0o777, exist_ok=True)
        return os.open(path, _FOLDER)
    except (FileExistsError, NotADirectoryError) as error:
        raise errors.AgentError(
            f"the {what} folder {path} of the root {spec.to} is not a folder, or is below a file"
            f" (errno {errno.errorcode.get(error.errno or 0, error.errno)})",
            hint=f"remove it, or sync to another folder than {spec.to}",
        ) from error
    except OSError as error:
        raise _not_usable(spec, path, what, error) from error


def _not_usable(spec: RootSpec, path: str, what: str, error: OSError) -> errors.AgentError:
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    who = f"uid {os.geteuid()}, gid {os.getegid()}"
    message = f"the {what} folder {path} of the root {spec.to} is not writable for {who}: {error.strerror} ({name})"
    if error.errno == errno.EROFS:
        return errors.AgentError(message, hint="mount a writable volume there")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return errors.AgentError(message, hint="free some space, or enlarge the volume")
    return errors.AgentError(
        message, hint=f"{_owner_of(path)}; run the agent as its owner, or give the pod an fsGroup that may write there"
    )


def _owner_of(path: str) -> str:
    """Describe the nearest folder that is there, at or above a path."""
    at = os.path.normpath(path)
    while True:
        try:
            info = os.stat(at)
        except OSError:
            if at == "/":
                return f"{path} cannot be examined"
            at = os.path.dirname(at)
            continue
        return f"{at} belongs to uid {info.st_uid}, gid {info.st_gid}, mode {stat.S_IMODE(info.st_mode):04o}"


def _lock(spec: RootSpec, path: str) -> int:
    """Take the root for this process: two agents on one journal would undo each other's work."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _not_usable(spec, spec.state, "state", error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise errors.AgentError(
            f"another agent already serves {spec.data}",
            hint="stop it, or wait until it has ended",
            code=errors.AgentError.BUSY,
        ) from error
    return fd


def _tree_id(spec: RootSpec, path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            found = file.read(64).strip()
        if re.fullmatch(r"[0-9a-f]{32}", found):
            return found
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _not_usable(spec, path, "state", error) from error
    fresh = secrets.token_hex(16)
    try:
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(fresh + "\n")
        os.rename(path + ".new", path)
    except OSError as error:
        raise _not_usable(spec, spec.state, "state", error) from error
    return fresh


def _private_folder(spec: RootSpec, stage_fd: int) -> int:
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(_PRIVATE, 0o700, dir_fd=stage_fd)
        return os.open(_PRIVATE, _FOLDER | os.O_NOFOLLOW, dir_fd=stage_fd)
    except OSError as error:
        raise _not_usable(spec, spec.stage, "stage", error) from error
