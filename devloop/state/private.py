"""Folders and files that nobody but their owner reads: what the state on the laptop is made of."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
from typing import Final

from devloop import errors
from devloop.core import paths

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_SLUG_CHARS: Final = 32


def folder(path: str) -> str:
    """Make a folder, and those above it that are missing, readable by its owner only; return its path.

    A folder that is there already is taken as it is, but loses what others may do in it.

    Raises:
        LocalError: It cannot be made, is no folder, is a link, or belongs to someone else.
    """
    try:
        os.makedirs(os.path.dirname(path) or ".", FOLDER_MODE, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, FOLDER_MODE)
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            raise errors.LocalError(f"{path} is in the way: it is not a folder", hint=f"move {path} aside")
        if status.st_uid != os.getuid():
            hint = "set DEVLOOP_STATE_DIR to a folder of your own"
            raise errors.LocalError(f"{path} belongs to another user (uid {status.st_uid})", hint=hint)
        if status.st_mode & 0o077:
            os.chmod(path, FOLDER_MODE)
    except OSError as error:
        raise errors.LocalError(
            f"cannot make the folder {path}: {error.strerror or error}",
            hint="free its disk or correct its permissions, or set DEVLOOP_STATE_DIR",
        ) from error
    return path


def write(path: str, data: bytes) -> None:
    """Write a small file, atomically and readable by its owner only.

    Raises:
        OSError: The disk refused; the old file, if any, is untouched.
    """
    fresh = f"{path}.{secrets.token_hex(6)}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        with open(fd, "wb") as file:
            file.write(data)
        os.rename(fresh, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise


def slug(text: str) -> str:
    """Return a readable file name of at most 32 characters for any text; different texts may share it."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")
    return plain[:_SLUG_CHARS].rstrip("-.") or "x"


def name(text: str) -> str:
    """Return a readable file name for any text, different for every text."""
    return f"{slug(text)}-{digest(text)}"


def digest(text: str) -> str:
    """Return 12 hexadecimal digits that tell a text or path from every other."""
    return hashlib.sha256(paths.to_wire(text)).hexdigest()[:12]
