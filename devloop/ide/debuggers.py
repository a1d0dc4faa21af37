"""Which debugger a service listens with, and where: from its command, its variables and its ports. Pure.

What the command says is sure; a port alone is a convention. `--debug SERVICE=KIND[:PORT]` says it where neither does.
The defaults are those of the debuggers: debugpy's README, `node --help`, the JDK's own documents on JDWP, and the ports
that Delve's documents use.
"""

from __future__ import annotations

import enum
import os.path
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from devloop import errors
from devloop.config import model


class Kind(enum.StrEnum):
    """A debugger."""

    DEBUGPY = "debugpy"
    NODE = "node"
    JDWP = "jdwp"
    DLV = "dlv"
    PYDEVD = "pydevd"
    """PyCharm's own: the app connects to the IDE, through a port of `reverse:`."""


DEFAULT_PORTS: Final = {
    Kind.DEBUGPY: 5678,
    Kind.NODE: 9229,
    Kind.JDWP: 5005,
    Kind.DLV: 2345,
    Kind.PYDEVD: 5678,
}

_BY_PORT: Final = {5678: Kind.DEBUGPY, 9229: Kind.NODE, 5005: Kind.JDWP, 2345: Kind.DLV, 40000: Kind.DLV}

# How a service gets an attach configuration where nothing says that it can be debugged.
HOW: Final = (
    "start its command with `python -m debugpy --listen 5678`, `node --inspect=9229`, `java -agentlib:jdwp=…` or "
    "`dlv exec --headless --listen=:2345`, and list the port in `ports:`; or say it by --debug {name}=KIND[:PORT]"
)


class Found(msgspec.Struct, frozen=True):
    """A debugger that a service listens with.

    Attributes:
        kind: Which.
        port: The port in the container.
    """

    kind: Kind
    port: int


def detect(service: model.Service) -> Found | None:
    """Return the debugger of a service, or None where nothing tells."""
    words = list(_words(service.command or ()))
    for variable in ("NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"):
        words += _split(service.env.get(variable, ""))
    found = _debugpy(words) or _dlv(words) or _jdwp(words) or _node(words)
    if found is not None:
        return found
    ports = [forward.port for forward in service.ports]
    return next((Found(_BY_PORT[port], port) for port in ports if port in _BY_PORT), None)


def override(text: str) -> tuple[str, Found]:
    """Return the service and its debugger that `web=debugpy:5678` names.

    Raises:
        UsageError: It says something else.
    """
    name, _, rest = text.partition("=")
    kind, colon, port = rest.partition(":")
    kinds = ", ".join(Kind)
    if not name or kind not in list(Kind):
        raise errors.UsageError(
            f"--debug {text} does not say which debugger", hint=f"write SERVICE=KIND[:PORT]; KIND is one of {kinds}"
        )
    if colon and not (port.isdecimal() and 1 <= int(port[:6]) <= 65535):
        raise errors.UsageError(f"--debug {text}: {port!r} is not a port", hint="ports go from 1 to 65535")
    return name, Found(Kind(kind), int(port) if port else DEFAULT_PORTS[Kind(kind)])


def _words(command: Sequence[str]) -> Iterable[str]:
    """Return a command's words; those of its line where it is one for a shell."""
    if len(command) >= 3 and os.path.basename(command[0]) in {"sh", "bash", "dash", "ash"} and command[1] == "-c":
        return _split(command[2])
    return command


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _debugpy(words: Sequence[str]) -> Found | None:
    if not any(word in {"debugpy", "-mdebugpy"} or os.path.basename(word) == "debugpy" for word in words):
        return None
    listen = _option(words, "--listen")
    # Without it, debugpy connects to a debugger, and nobody can attach.
    return Found(Kind.DEBUGPY, _port(listen, Kind.DEBUGPY)) if listen else None


def _dlv(words: Sequence[str]) -> Found | None:
    if not any(os.path.basename(word) == "dlv" for word in words) or "--headless" not in _flags(words):
        return None
    return Found(Kind.DLV, _port(_option(words, "--listen") or _option(words, "-l"), Kind.DLV))


def _jdwp(words: Sequence[str]) -> Found | None:
    for word in words:
        found = re.match(r"-(?:agentlib:jdwp=|Xrunjdwp:)(.*)", word)
        if found:
            options = dict(part.partition("=")[::2] for part in found[1].split(","))
            if options.get("server") == "y" and options.get("transport", "dt_socket") == "dt_socket":
                return Found(Kind.JDWP, _port(options.get("address", ""), Kind.JDWP))
    return None


def _node(words: Sequence[str]) -> Found | None:
    for word in words:
        flag, _, value = word.partition("=")
        if flag in {"--inspect", "--inspect-brk", "--inspect-wait"}:
            port = value or _option(words, "--inspect-port")
            return Found(Kind.NODE, _port(port, Kind.NODE))
    return None


def _flags(words: Sequence[str]) -> set[str]:
    return {word.removesuffix("=true") for word in words}


def _option(words: Sequence[str], flag: str) -> str:
    """Return what follows a flag, in the same word or the next; empty where it is not given."""
    for index, word in enumerate(words):
        if word == flag and index + 1 < len(words):
            return words[index + 1]
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return ""


def _port(address: str, kind: Kind) -> int:
    """Return the port of `5678`, `:5678`, `0.0.0.0:5678` or `*:5678`."""
    digits = address.rpartition(":")[2]
    return int(digits) if re.fullmatch(r"[1-9][0-9]{0,4}", digits) and int(digits) < 65536 else DEFAULT_PORTS[kind]
