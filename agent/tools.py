"""What the app's container is lent: a static busybox and the scripts that it runs, copied into the tools volume.

`python -m agent tools DIR` runs in an init container of the agent's image. The app's own container may have neither a
shell nor any tool, and sees DIR read-only.
"""

from __future__ import annotations

import os
import shutil
import struct
from typing import Final

from devloop import errors

BUSYBOX: Final = "busybox"
SCRIPTS: Final = ("launcher.sh", "seed.sh")

# Where the agent's image has it.
BUSYBOX_AT: Final = "/usr/share/devloop/busybox"

_SOURCE: Final = os.path.join(os.path.dirname(__file__), "scripts")

# elf(5): the class of 64 bits, and the entry that names a dynamic program's loader.
_CLASS_64: Final = 2
_PT_INTERP: Final = 3


def install(folder: str, busybox: str = BUSYBOX_AT) -> None:
    """Copy the tools, each whole or not at all; what is there already is replaced.

    Args:
        folder: Where to; it is made if need be.
        busybox: The program.

    Raises:
        errors.AgentError: There is no such program, it is not a static one, or the folder cannot be written.
    """
    if needs_libraries(busybox):
        raise errors.AgentError(
            f"{busybox} is not a static program", hint="it runs in the app's image: use Debian's busybox-static"
        )
    try:
        os.makedirs(folder, exist_ok=True)
        _copy(busybox, os.path.join(folder, BUSYBOX))
        for name in SCRIPTS:
            _copy(os.path.join(_SOURCE, name), os.path.join(folder, name))
    except OSError as error:
        raise errors.AgentError(
            f"the tools cannot be copied to {folder}: {error.strerror or error}",
            hint=f"make it writable for uid {os.geteuid()}, with 16 MiB of room",
        ) from error


def needs_libraries(program: str) -> bool:
    """Say whether a program is dynamic, or none that this machine could run.

    Raises:
        errors.AgentError: It cannot be read.
    """
    try:
        with open(program, "rb") as file:
            raw = file.read(4096)
    except OSError as error:
        raise errors.AgentError(
            f"no busybox at {program}: {error.strerror}", hint="name one with --busybox, as of Debian's busybox-static"
        ) from error
    if not raw.startswith(b"\x7fELF") or len(raw) < 64:
        return True
    wide = raw[4] == _CLASS_64
    order = "<" if raw[5] == 1 else ">"
    # elf(5), Elf64_Ehdr and Elf32_Ehdr: where the program headers begin, their size, and their number.
    begin = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", raw, 32 if wide else 28)[0]
    size, count = struct.unpack_from(f"{order}HH", raw, 54 if wide else 42)
    headers = range(begin, begin + size * count, size or 1)
    return any(struct.unpack_from(f"{order}I", raw, at)[0] == _PT_INTERP for at in headers if at + 4 <= len(raw))


def _copy(source: str, to: str) -> None:
    fresh = f"{to}.new"
    shutil.copyfile(source, fresh)
    os.chmod(fresh, 0o755)  # noqa: S103 - the app's user is any user
    os.replace(fresh, to)
