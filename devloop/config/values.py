"""The small languages inside devloop.yaml: durations, ports, workloads, patterns, paths.

Every function takes the text that was written and returns a typed value, or raises `BadValue` with what is wrong
and how to write it. They are called by the fields of `devloop.config.model`; pure, they look at no disk.
"""

from __future__ import annotations

import difflib
import os.path
import re
from collections.abc import Iterable
from typing import Final

import msgspec


class BadValue(ValueError):
    """A text that does not say what its field needs.

    Args:
        message: What is wrong with it.
        hint: How to write it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def near(word: str, candidates: Iterable[str]) -> str:
    """Return the candidate that `word` most likely meant, or an empty string."""
    found = difflib.get_close_matches(word.lower(), sorted(candidates), n=1, cutoff=0.6)
    return found[0] if found else ""


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the nearest candidate, or an empty string."""
    found = near(word, candidates)
    return f"did you mean {found!r}?" if found else ""


_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|s|m|h))+")
_DURATION_PART: Final = re.compile(r"([0-9.]+)(ms|s|m|h)")
DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"


def duration_s(value: object) -> float:
    """Return the seconds that `5s`, `300ms`, `2m` or `1m30s` stands for; a number is taken as seconds already."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = _text(value)
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION_PART.findall(text))
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise BadValue(f"the duration {text!r} has no unit", f"write {text}s for seconds")
    raise BadValue(f"{text!r} is not a duration", "write 300ms, 5s, 2m or 1h")


class Workload(msgspec.Struct, frozen=True):
    """A Kubernetes object that owns pods, or one pod.

    Attributes:
        kind: One of `KINDS`.
        name: Its name in the project's namespace.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


KINDS: Final = ("deployment", "statefulset", "daemonset", "rollout", "pod")
_SHORT_KINDS: Final = {"deploy": "deployment", "sts": "statefulset", "ds": "daemonset", "ro": "rollout", "po": "pod"}
# RFC 1123 names, as Kubernetes checks them (apimachinery, util/validation).
_DNS_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def workload(value: object) -> Workload:
    """Return the workload that `deployment/web` names."""
    if isinstance(value, Workload):
        return value
    text = _text(value)
    kind, slash, name = text.partition("/")
    if not slash:
        raise BadValue(f"{text!r} does not say what kind of workload it is", f"write deployment/{text}")
    known = {**_SHORT_KINDS, **{kind: kind for kind in KINDS}, **{f"{kind}s": kind for kind in KINDS}}
    if kind.lower() not in known:
        kinds = ", ".join(KINDS)
        raise BadValue(f"{kind!r} is not a kind of workload", did_you_mean(kind, KINDS) or f"one of {kinds}")
    if not _DNS_NAME.fullmatch(name) or len(name) > 253:
        raise BadValue(f"{name!r} is not the name of a Kubernetes object", "lower-case letters, digits, '-' and '.'")
    return Workload(known[kind.lower()], name)


def dns_label(value: object) -> str:
    """Return a namespace's or container's name."""
    text = _text(value)
    if not _DNS_LABEL.fullmatch(text):
        raise BadValue(f"{text!r} is not a Kubernetes name", "lower-case letters, digits and '-', at most 63")
    return text


_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
NAME_PATTERN: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"


def name(value: object) -> str:
    """Return a project's or service's name: it becomes a label's value and a file's name."""
    text = _text(value)
    if not _NAME.fullmatch(text):
        raise BadValue(
            f"{text!r} cannot be a name", "letters, digits, '.', '_' and '-', from letter or digit to the same"
        )
    return text


def run_as(value: object) -> str:
    """Return a UID, or UID:GID."""
    text = _text(value)
    if not re.fullmatch(r"[0-9]{1,10}(:[0-9]{1,10})?", text):
        raise BadValue(f"{text!r} is not a user", "write UID or UID:GID, in digits")
    return text


_QUANTITY: Final = re.compile(r"(?=[0-9.]*[1-9])[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?")


def quantity(value: object) -> str:
    """Return how much storage, as Kubernetes writes it: `500Mi`, `5Gi`."""
    text = _text(value)
    if not _QUANTITY.fullmatch(text):
        raise BadValue(f"{text!r} is no amount of storage", "write a number with Mi, Gi or Ti, such as 5Gi")
    return text


class Forward(msgspec.Struct, frozen=True):
    """A port on the laptop that leads somewhere.

    Attributes:
        host: The service's name, with its namespace if it has one; empty for the service's own pod.
        port: The port there.
        local_first: The first port on the laptop to try.
        local_last: The last one; equal to the first unless a range was given.
        bind: The laptop's address to listen on; empty for its loopback.
    """

    port: int
    host: str = ""
    local_first: int = 0
    local_last: int = 0
    bind: str = ""


def local_told(forward: Forward) -> str:
    """Return where a forward is on the laptop, as people write it: `localhost:8000`, `[::1]:8000-8010`."""
    first, last = forward.local_first, forward.local_last
    host = f"[{forward.bind}]" if ":" in forward.bind else forward.bind or "localhost"
    return f"{host}:{first}" if first == last else f"{host}:{first}-{last}"


_FORWARD: Final = re.compile(
    r"(?:(?:(?P<bind>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+):)?(?P<local>[0-9]+(?:-[0-9]+)?):)?(?P<port>[0-9]+)"
)
_SERVICE_FORWARD: Final = re.compile(
    r"(?:(?:(?P<bind>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+):)?(?P<local>[0-9]+(?:-[0-9]+)?):)?"
    r"(?P<host>(?![0-9]+:)[^\[\]:]+):(?P<port>[0-9]+)"
)


def pod_port(value: object) -> Forward:
    """Return the forward to the service's pod that `8000`, `8080:80` or `127.0.0.1:8000-8010:80` asks for."""
    if isinstance(value, Forward):
        return value
    return _forward(_text(value), _FORWARD, "write 8000, 8080:80, 8000-8010:80 or ADDRESS:8080:80")


def service_forward(value: object) -> Forward:
    """Return the forward to a service that `postgres:5432`, `8080:web:80` or `db.other:5432` asks for."""
    if isinstance(value, Forward):
        return value
    forward = _forward(_text(value), _SERVICE_FORWARD, "write postgres:5432, 8080:web:80 or ADDRESS:8080:web:80")
    if not _DNS_NAME.fullmatch(forward.host):
        raise BadValue(f"{forward.host!r} is not the name of a service", "NAME, or NAME.NAMESPACE")
    return forward


def _forward(text: str, grammar: re.Pattern[str], how: str) -> Forward:
    if text.lower().endswith("/udp"):
        raise BadValue(f"{text!r} is UDP, which is not forwarded", "only TCP ports can be")
    text = text.removesuffix("/tcp")
    found = grammar.fullmatch(text)
    if not found:
        raise BadValue(f"{text!r} is not a port", how)
    parts = found.groupdict(default="")
    first, _, last = (parts["local"] or parts["port"]).partition("-")
    local_first, local_last = _port(first), _port(last or first)
    if local_last < local_first:
        raise BadValue(f"the range {parts['local']} ends before it begins")
    return Forward(_port(parts["port"]), parts.get("host", ""), local_first, local_last, parts["bind"].strip("[]"))


def _port(digits: str) -> int:
    number = int(digits[:6])
    if not 1 <= number <= 65535:
        raise BadValue(f"{digits} is not a port", "ports go from 1 to 65535")
    return number


# `kill -l`, without those that a process cannot answer by reloading.
SIGNALS: Final = ("HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "CONT", "WINCH")


def signal_name(value: object) -> str:
    """Return a signal's name without its `SIG`."""
    text = _text(value)
    bare = text.upper().removeprefix("SIG")
    if bare not in SIGNALS:
        raise BadValue(f"{text!r} is not a signal to reload with", did_you_mean(bare, SIGNALS) or ", ".join(SIGNALS))
    return bare


def argv(value: object) -> tuple[str, ...]:
    """Return the words of a command: a list as it is, `{shell: LINE}` as `/bin/sh -c LINE`."""
    if isinstance(value, str):
        words = ", ".join(value.split()) or "python, app.py"
        raise BadValue("a command is a list of words", f"write [{words}], or {{shell: {value!r}}} for a shell line")
    if isinstance(value, dict):
        line = value.get("shell")
        if set(value) != {"shell"} or not isinstance(line, str) or not line.strip():
            raise BadValue("a command is a list of words, or {shell: LINE}")
        return argv(["/bin/sh", "-c", line])
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise BadValue("a command is a list of words", "write [python, app.py]")
    if not value or not value[0]:
        raise BadValue("the command is empty", "write [python, app.py]")
    if any("\0" in word for word in value):
        raise BadValue("a command cannot hold a NUL")
    return tuple(value)


def seed(value: object) -> tuple[str, ...]:
    """Return the patterns of what is copied from the image: `all` is everything, `none` nothing, else a list."""
    if value == "all":
        return ("**",)
    if value == "none":
        return ()
    if not isinstance(value, list | tuple):
        raise BadValue(f"{value!r} is not a seed", "write all, none or a list of patterns")
    return tuple(pattern(item) for item in value)


def ignore_pattern(value: object) -> str:
    """Return a line of `.gitignore`'s language."""
    text = _text(value)
    if text.startswith("#"):
        raise BadValue(f"{text!r} is a comment to git", f"write '\\{text}' for a name that begins with '#'")
    bare = text.removeprefix("!")
    _check_glob(text, bare)
    return text


def pattern(value: object) -> str:
    """Return a glob of `.gitignore`'s language, without negation."""
    text = _text(value)
    if text.startswith("!"):
        raise BadValue(f"{text!r}: a negation has no meaning here", "list what is wanted")
    _check_glob(text, text)
    return text


def _check_glob(text: str, bare: str) -> None:
    if not bare.strip("/ "):
        raise BadValue(f"{text!r} matches nothing", "write a pattern such as '*.py' or 'src/**'")
    if "\0" in bare or "\n" in bare:
        raise BadValue("a pattern is one line")
    if ".." in bare.split("/"):
        raise BadValue(f"{text!r} leaves the folder", "patterns are relative to the folder that is synced")
    # git: a pattern that ends in a lone backslash, or in an open bracket, never matches (wildmatch.c).
    if (len(bare) - len(bare.rstrip("\\"))) % 2:
        raise BadValue(f"{text!r} ends in a lone backslash and matches nothing", "remove it")
    if _has_open_bracket(bare):
        raise BadValue(f"{text!r} has a '[' without ']' and matches nothing", "write '\\[' for the character itself")


_CLASS: Final = re.compile(r"\[[!^]?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_PLAIN: Final = re.compile(r"(?:\\.|[^\\\[])+", re.DOTALL)


def _has_open_bracket(text: str) -> bool:
    position = 0
    while position < len(text):
        found = _PLAIN.match(text, position) or _CLASS.match(text, position)
        if not found:
            return True
        position = found.end()
    return False


def pod_path(value: object) -> str:
    """Return an absolute, normalised path in the container."""
    text = _text(value)
    if not text.startswith("/"):
        raise BadValue(f"{text!r} is not an absolute path", "paths in the container begin with '/'")
    if not text.isprintable():
        raise BadValue(f"{text!r} holds control characters")
    if ".." in text.split("/"):
        raise BadValue(f"{text!r} holds '..'", "write the path that is meant")
    return os.path.normpath("/" + text.lstrip("/"))


# Folders that no sync may replace. `/root`, `/home`, `/opt`, `/srv` and `/tmp` stay allowed: images do keep apps
# there, and devloop deletes only what it shipped.
_GUARDED: Final = re.compile(r"/|/etc|/usr|/usr/(s?bin|lib(32|64|x32)?|local(/s?bin|/lib)?)|/var|/var/(lib|run)|/run")
_GUARDED_WHOLE: Final = re.compile(r"/(s?bin|lib(32|64|x32)?|boot|proc|sys|dev)(/.*)?")


def sync_to(value: object) -> str:
    """Return the folder in the container that a sync fills, unless it is one that no sync may touch."""
    path = pod_path(value)
    if _GUARDED.fullmatch(path) or _GUARDED_WHOLE.fullmatch(path):
        raise BadValue(
            f"{path} belongs to the system and cannot be synced to", "name the app's own folder, such as /app"
        )
    return path


def laptop_path(value: object, folder: str) -> str:
    """Return an absolute, normalised path on the laptop.

    Args:
        value: As it was written: absolute, `~/…`, or relative to the file that names it.
        folder: That file's folder; empty leaves a relative path as it is.
    """
    text = _text(value)
    if not text:
        raise BadValue("the path is empty", "write . for the project's own folder")
    if "\0" in text:
        raise BadValue("a path cannot hold a NUL")
    return os.path.normpath(os.path.join(folder, os.path.expanduser(text)))


def contains(folder: str, path: str) -> bool:
    """Say whether `path` is `folder` or lies in it; both normalised and absolute."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadValue(f"expected text, found {kind_of(value)}")
    return value


def kind_of(value: object) -> str:
    """Return what a value is, in the words of someone who writes YAML."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    return f"{text if len(text) <= 40 else text[:39] + '…'!r}"
