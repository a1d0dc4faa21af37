"""Which of a container's variables a command on the laptop gets, and which of them are secrets. Pure.

Left alone are those that say where things are on a machine and who sits at it: with the container's the laptop's own
command would not even start. So are those by which a cluster's client takes itself to be in a pod, where neither its
address nor its token can be used from here.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

# The list of docs/exec.md; a test compares the two.
LEFT_ALONE: Final = (
    "PATH", "HOME", "PWD", "OLDPWD", "HOSTNAME", "SHLVL", "_", "SHELL", "USER", "LOGNAME", "TERM", "COLORTERM",
    "COLUMNS", "LINES", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "TMP", "TEMP", "DISPLAY", "XDG_*", "SSH_*", "LD_*",
    "DYLD_*", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_*", "GEM_*", "GOPATH", "GOROOT", "JAVA_HOME",
    "NODE_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "KUBERNETES_*", "*_SERVICE_HOST", "*_SERVICE_PORT", "*_SERVICE_PORT_*", "*_PORT_*_TCP", "*_PORT_*_TCP_*",
    "*_PORT_*_UDP", "*_PORT_*_UDP_*",
)  # fmt: skip

SECRET_NAMES: Final = ("*TOKEN*", "*PASSWORD*", "*PASSWD*", "*PASSPHRASE*", "*SECRET*", "*KEY*", "*CREDENTIAL*")
# A password within a URL, such as postgres://user:word@host.
_URL_PASSWORD: Final = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
# A shorter value is found everywhere, in what has nothing to do with it.
MIN_SECRET: Final = 4
_LINK: Final = re.compile(r"(?:tcp|udp|sctp)://[\d.:\[\]a-f]+:\d+")

MASK: Final = "***"


def chosen(
    env: Mapping[str, str], exclude: Sequence[str] = (), include: Sequence[str] = ()
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables that are taken, and the names of those that are left alone.

    Args:
        env: The container's.
        exclude: Patterns of names that are not wanted.
        include: Patterns of names that are, although they are left alone by default. `exclude` goes before.
    """
    taken, left = {}, []
    for name, value in env.items():
        alone = _is_any(name, LEFT_ALONE) or (name.endswith("_PORT") and _LINK.fullmatch(value) is not None)
        if _is_any(name, exclude) or (alone and not _is_any(name, include)):
            left.append(name)
        else:
            taken[name] = value
    return taken, tuple(left)


def secrets(env: Mapping[str, str], known: Iterable[str]) -> frozenset[str]:
    """Return the names of the variables whose values are not to be shown.

    Args:
        env: The variables.
        known: Those that came from a Secret.
    """
    named = {name for name in env if _is_any(name.upper(), SECRET_NAMES)}
    found = {*(name for name in known if name in env), *named}
    values = {env[name] for name in found if len(env[name]) >= MIN_SECRET}
    for name, text in env.items():
        # What holds a secret is one, too: a URL that was put together from it.
        if _URL_PASSWORD.search(text) or any(value in text for value in values):
            found.add(name)
    return frozenset(found)


def shown(env: Mapping[str, str], hidden: Iterable[str]) -> dict[str, str]:
    """Return the variables with what is secret masked."""
    away = set(hidden)
    return {name: MASK if name in away and value else value for name, value in env.items()}


def _is_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
