"""Where devloop keeps what is not part of a project: the folders and sockets of one project on this laptop.

State, cache and logs follow the platform (`platformdirs`, which honours the XDG variables on macOS as well);
`DEVLOOP_STATE_DIR` puts all of it below one folder. Sockets live in a runtime folder whose path is short, because the
system takes no more than 104 to 108 bytes for a socket's (`sun_path` in unix(4) and unix(7)).

Every folder here is made with mode 0700. Names that come from the user never become a path unless they are safe and
short; a project is known by the hash of its real path. Only `msgspec` and the standard library are imported at once,
because `devloop status` is answered in a blink.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from typing import Final

import msgspec

from devloop import errors

_APP: Final = "devloop"

# Below the 104 bytes with the final NUL that macOS takes, with some to spare for a temporary suffix.
MAX_SOCKET_BYTES: Final = 100

# 64 bits: two projects of one user do not meet by accident.
_HASH_CHARS: Final = 16
_SLUG_CHARS: Final = 32

_CONTROL: Final = "control.sock"

_READABLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,19}")

# What a runtime folder's path may have, so that the longest socket name still fits behind it.
_LONGEST_NAME: Final = len("/agent-.x.sock") + max(20, _HASH_CHARS)


class Places(msgspec.Struct, frozen=True):
    """The folders and files of one project; all folders exist.

    Attributes:
        state: Folder of what must survive a restart; each service has a folder in it, nothing else does.
        cache: Folder of what may be deleted at any time.
        logs: Folder of log files.
        runtime: Folder of sockets; private to this user.
        lock: The file that the project's owner locks.
        socket: The control socket, at most `MAX_SOCKET_BYTES` long.
        bases: Folder of the base store; all projects of the user share it.
        trash: Folder of what a pull replaced.
    """

    state: str
    cache: str
    logs: str
    runtime: str
    lock: str
    socket: str
    bases: str
    trash: str

    def agent_socket(self, service: str) -> str:
        """Return the path of a service's agent socket, at most `MAX_SOCKET_BYTES` long whatever its name."""
        if _READABLE.fullmatch(service):
            return os.path.join(self.runtime, f"agent-{service}.sock")
        # The dot keeps a hashed name apart from every readable one.
        return os.path.join(self.runtime, f"agent-{_hash(service)}.x.sock")


def project(folder: str) -> Places:
    """Return the places of the project in a folder, and make the folders that are missing.

    Args:
        folder: The project's folder; any path that leads to it gives the same places.

    Raises:
        LocalError: A folder cannot be made, or belongs to somebody else.
    """
    name = project_id(folder)
    state, cache, logs = _bases()
    home = os.path.join(state, "projects", name)
    runtime = _runtime(name)
    places = Places(
        state=os.path.join(home, "services"),
        cache=os.path.join(cache, "projects", name),
        logs=os.path.join(logs, name),
        runtime=runtime,
        lock=os.path.join(home, "lock"),
        socket=os.path.join(runtime, _CONTROL),
        bases=os.path.join(cache, "bases"),
        trash=os.path.join(home, "trash"),
    )
    for needed in (home, places.state, places.trash, places.cache, places.bases, places.logs):
        _make(needed)
    return places


def home() -> str:
    """Return the folder of what is about this laptop and no single project, made where it is missing.

    Raises:
        LocalError: It cannot be made, or is not private.
    """
    return _make(_bases()[0])


def project_id(folder: str) -> str:
    """Return the name of a project: a slug of its folder's name for people, and a hash of its real path."""
    real = os.path.realpath(folder)
    slug = re.sub(r"[^a-z0-9]+", "-", os.path.basename(real).lower()).strip("-")[:_SLUG_CHARS].strip("-")
    return f"{slug or 'project'}-{_hash(real)}"


def _hash(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:_HASH_CHARS]


def _override() -> str:
    """Return the absolute `DEVLOOP_STATE_DIR`, or an empty string where it is not set."""
    said = os.environ.get("DEVLOOP_STATE_DIR", "")
    return os.path.abspath(os.path.expanduser(said)) if said else ""


def _bases() -> tuple[str, str, str]:
    """Return devloop's own folders for state, cache and logs."""
    override = _override()
    if override:
        return override, os.path.join(override, "cache"), os.path.join(override, "logs")
    # Not imported at the top: this program may be asked for its folders thousands of times where it is overridden.
    import platformdirs

    return (
        platformdirs.user_state_dir(_APP, appauthor=False),
        platformdirs.user_cache_dir(_APP, appauthor=False),
        platformdirs.user_log_dir(_APP, appauthor=False),
    )


def _runtime(name: str) -> str:
    """Return the project's runtime folder, in the first place whose path is short enough and ours."""
    short = name.rpartition("-")[2]
    override = _override()
    if override and _fits(os.path.join(override, "run", short)):
        return _make(os.path.join(_make(os.path.join(override, "run")), short))
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(given) and _is_private(given) and _fits(os.path.join(given, _APP, short)):
        return _make(os.path.join(_make(os.path.join(given, _APP)), short))
    ours = f"{_APP}-{os.getuid()}"
    temp = tempfile.gettempdir()
    if not _fits(os.path.join(temp, ours, short)):
        # What is made below it is checked to be ours, and private.
        temp = "/tmp"  # noqa: S108
    return _make(os.path.join(_make(os.path.join(temp, ours)), short))


def _fits(runtime: str) -> bool:
    return len(os.fsencode(runtime)) + _LONGEST_NAME <= MAX_SOCKET_BYTES


def _is_private(folder: str) -> bool:
    """Say whether a folder is ours, and no one else may write in it."""
    try:
        status = os.stat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


def _make(folder: str) -> str:
    """Make a folder with mode 0700, its parents likewise where they are missing, and return it.

    Raises:
        LocalError: It cannot be made, is no folder or a link, belongs to somebody else, or others may write in it.
    """
    try:
        _make_missing(folder)
        status = os.lstat(folder)
        wrong = _wrong_with(status)
        if not wrong and status.st_mode & 0o077:
            os.chmod(folder, 0o700)
    except OSError as error:
        raise errors.LocalError(
            f"the folder {error.filename or folder} cannot be made or used: {error.strerror}",
            hint="set DEVLOOP_STATE_DIR to a folder that you may write to",
        ) from error
    if wrong:
        raise errors.LocalError(
            f"the folder {folder} is not safe to use: {wrong}",
            hint="remove it, or set DEVLOOP_STATE_DIR to a short path to a folder of your own",
        )
    return folder


def _make_missing(folder: str) -> None:
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for one in reversed(missing):
        try:
            os.mkdir(one, 0o700)
        except FileExistsError:
            # Another devloop was quicker; the caller looks at what is there.
            continue


def _wrong_with(status: os.stat_result) -> str:
    if not stat.S_ISDIR(status.st_mode):
        return "it is not a folder"
    if status.st_uid != os.getuid():
        return f"it belongs to the user with id {status.st_uid}"
    if status.st_mode & 0o022:
        return "others may write in it"
    return ""
