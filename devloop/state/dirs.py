"""Where devloop keeps things on the laptop: state, cache, logs, and the runtime folder with its sockets.

The platform's own places (`platformdirs`), the XDG variables where they are set, on macOS too, and everything under
`DEVLOOP_STATE_DIR` if that is. Every folder has mode 0700. A project's folder is named after the project's absolute
path, so that it is found again from anywhere.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from typing import Final

import msgspec
import platformdirs

from devloop import errors
from devloop.state import private

APP: Final = "devloop"
VARIABLE: Final = "DEVLOOP_STATE_DIR"

# A socket's path has 108 bytes on Linux and 104 on macOS, the final NUL included (sun_path in sys/un.h).
MAX_SOCKET_PATH_BYTES: Final = 100


class Dirs(msgspec.Struct, frozen=True):
    """The folders of one user. Absolute paths; none of them need exist yet.

    Attributes:
        state: What must survive a restart.
        cache: What may be deleted at any time.
        log: Logs.
        runtime: Sockets; gone after a reboot.
    """

    state: str
    cache: str
    log: str
    runtime: str


class Project(msgspec.Struct, frozen=True):
    """The folders and files of one project.

    Attributes:
        id: A readable name for the project's folder, different for every absolute path.
        state: Its part of the state.
        log: Its part of the logs.
        socket: The path of its control socket, short enough to bind.
        lock: The file of its single-instance lock.
    """

    id: str
    state: str
    log: str
    socket: str
    lock: str


def find(environ: Mapping[str, str] | None = None) -> Dirs:
    """Return where the folders are; makes none.

    Args:
        environ: The process's environment by default.

    Raises:
        UsageError: `DEVLOOP_STATE_DIR` is not an absolute path.
    """
    env = os.environ if environ is None else environ
    base = env.get(VARIABLE, "")
    if base:
        if not os.path.isabs(base):
            raise errors.UsageError(f"{VARIABLE} is not an absolute path: {base}", hint="give the whole path")
        base = os.path.normpath(base)
        return Dirs(base, f"{base}/cache", f"{base}/log", _short(f"{base}/run", base))
    state = _xdg(env, "XDG_STATE_HOME") or platformdirs.user_state_dir(APP, appauthor=False)
    cache = _xdg(env, "XDG_CACHE_HOME") or platformdirs.user_cache_dir(APP, appauthor=False)
    log = f"{state}/log" if _xdg(env, "XDG_STATE_HOME") else platformdirs.user_log_dir(APP, appauthor=False)
    return Dirs(state, cache, log, _runtime(env, state))


def project(dirs: Dirs, root: str) -> Project:
    """Return a project's folders, made and private.

    Args:
        dirs: As `find`.
        root: The folder with the project's `devloop.yaml`.

    Raises:
        LocalError: A folder cannot be made, or belongs to someone else.
    """
    absolute = os.path.realpath(root)
    id_ = f"{private.slug(os.path.basename(absolute))}-{private.digest(absolute)}"
    private.folder(dirs.state)
    private.folder(f"{dirs.state}/projects")
    state = private.folder(f"{dirs.state}/projects/{id_}")
    log = private.folder(f"{private.folder(dirs.log)}/{id_}")
    # The id's hash alone, because every byte counts here.
    socket = f"{runtime(dirs)}/{private.digest(absolute)}.sock"
    return Project(id_, state, log, socket, f"{state}/lock")


def runtime(dirs: Dirs) -> str:
    """Return the runtime folder, made, owned by this user and closed to others.

    Raises:
        LocalError: Someone else made it first, as anyone may in a shared temporary folder.
    """
    try:
        status = os.lstat(dirs.runtime)
    except FileNotFoundError:
        return private.folder(dirs.runtime)
    except OSError as error:
        raise errors.LocalError(f"cannot use {dirs.runtime}: {error.strerror}", hint=f"set {VARIABLE}") from error
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and status.st_mode & 0o022:
        # Others could have put a socket of their own in there.
        hint = f"look into it, then remove it: rm -r {dirs.runtime}"
        raise errors.LocalError(f"others may write in {dirs.runtime}", hint=hint)
    return private.folder(dirs.runtime)


def _xdg(env: Mapping[str, str], variable: str) -> str:
    base = env.get(variable, "")
    # The XDG base directory specification: relative paths are invalid and to be ignored.
    return os.path.join(os.path.normpath(base), APP) if os.path.isabs(base) else ""


def _runtime(env: Mapping[str, str], state: str) -> str:
    base = env.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(base) and os.path.isdir(base) and os.stat(base).st_uid == os.getuid():
        return _short(f"{os.path.normpath(base)}/{APP}", state)
    return _in_tmp(state)


def _short(folder: str, state: str) -> str:
    """Return the folder if the sockets in it can be bound, else one that is short enough."""
    longest = f"{folder}/{'0' * 12}.sock"
    return folder if len(os.fsencode(longest)) <= MAX_SOCKET_PATH_BYTES else _in_tmp(state)


def _in_tmp(state: str) -> str:
    base = tempfile.gettempdir()
    # macOS gives each user a temporary folder of some 50 bytes; anything longer than that was set by hand.
    if len(os.fsencode(base)) > 55 or sys.platform == "win32":
        base = "/tmp"  # noqa: S108 - the folder in it is made with mode 0700, and its owner is checked
    return f"{base}/{APP}-{os.getuid()}-{private.digest(state)[:6]}"
