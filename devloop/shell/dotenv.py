"""A file of variables that others read back as they are: `set -a; . FILE`, direnv, `docker run --env-file`.

These do not agree. What needs no quotes is the same for all of them. Else there are two forms: `sh` quotes as the shell
and direnv read it, single quotes first because nothing in them means anything; `docker` has no quotes, takes all up to
the end of the line, and cannot hold a line's end. What a form cannot hold is named, never changed.

Pure but for `write`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Mapping
from typing import Final

from devloop import errors

FORMS: Final = ("sh", "docker")

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_SHELL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOCKER_NAME: Final = re.compile(r"[^\s=#\x00-\x1f][^\s=\x00-\x1f]*")
_IN_DOUBLE: Final = re.compile(r'([\\"$`])')


def text(env: Mapping[str, str], form: str) -> tuple[str, tuple[str, ...]]:
    """Return the file's text, and the names of the variables that it cannot hold.

    Args:
        env: The variables.
        form: One of `FORMS`.
    """
    lines: list[str] = []
    lost: list[str] = []
    for name, value in env.items():
        line = _shell_line(name, value) if form == "sh" else _docker_line(name, value)
        (lines if line else lost).append(line or name)
    return "".join(f"{line}\n" for line in lines), tuple(lost)


def _shell_line(name: str, value: str) -> str:
    if not _SHELL_NAME.fullmatch(name) or "\0" in value:
        return ""
    if _PLAIN.fullmatch(value):
        return f"{name}={value}"
    if "'" not in value:
        return f"{name}='{value}'"
    return f'{name}="{_escaped(value)}"'


def _escaped(value: str) -> str:
    return _IN_DOUBLE.sub(r"\\\1", value)


def _docker_line(name: str, value: str) -> str:
    if not _DOCKER_NAME.fullmatch(name) or re.search(r"[\n\r\0]", value):
        return ""
    return f"{name}={value}"


def write(path: str, content: str, *, force: bool) -> None:
    """Write the file for nobody but the user, whole or not at all.

    Args:
        path: Where.
        content: All of it.
        force: Replace what is there.

    Raises:
        LocalError: It is there already, or cannot be written.
    """
    data = content.encode("utf-8", "surrogateescape")
    # Beside it, so that it is there at once and whole.
    fresh = f"{path}.{secrets.token_hex(4)}"
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file:
            file.write(data)
        if force:
            os.replace(fresh, path)
        else:
            # Unlike a rename this fails where something is there.
            os.link(fresh, path)
    except FileExistsError:
        raise errors.LocalError(f"{path} is there already", hint="--force replaces it") from None
    except OSError as error:
        raise errors.LocalError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
