"""Entries of the list of what an agent may dial, as Ops write them.

The agent reads them from its arguments; what puts it into a pod checks them before, so that a slip is said to whoever
made it, and not by agents that do not start.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import msgspec

HINT: Final = "write `*.namespace`, `service.namespace:5432`, `db.example.com`, `10.0.0.0/8:5432` or `[fd00::/8]:443`"

_ENTRY: Final = re.compile(r"\[(?P<six>[^]]+)\](:(?P<port6>\d+))?|(?P<rest>[^:]+)(:(?P<port>\d+))?")
_NAME: Final = re.compile(r"(?!-)[-_a-z0-9]{1,63}(?<!-)(\.(?!-)[-_a-z0-9]{1,63}(?<!-))*")
_DIGITS: Final = re.compile(r"[\d./]+")


class Allowed(msgspec.Struct, frozen=True):
    """One entry; one of `network` and `name` is set.

    Attributes:
        text: As it was written.
        network: Addresses.
        name: A name, in which `*` as the first label stands for any one label: a full name, or `service.namespace`.
        port: The only port; 0 for all.
    """

    text: str
    network: str = ""
    name: str = ""
    port: int = 0


def parse(text: str) -> Allowed:
    """Return an entry: `*.other-namespace`, `db.example.com:5432`, `10.0.0.0/8`, `[fd00::/8]:443`.

    Raises:
        ValueError: It is none; the text says so for people, and `HINT` how to write one.
    """
    found = _ENTRY.fullmatch(text.strip())
    where = (found["six"] or found["rest"]) if found else text.strip()
    written = (found["port6"] or found["port"]) if found else None
    port = int(written or 0)
    if port > 65535 or (written is not None and not port):
        raise _unreadable(text)
    try:
        return Allowed(text, network=str(ipaddress.ip_network(where)), port=port)
    except ValueError:
        name = where.lower().rstrip(".")
        # A name of digits and dots was meant to be an address.
        if not found or not is_name(name.removeprefix("*.")) or _DIGITS.fullmatch(name):
            raise _unreadable(text) from None
        return Allowed(text, name=name, port=port)


def is_name(text: str) -> bool:
    """Say whether a text has the form of a name of the DNS, in lower case and without a dot at its end."""
    return len(text) <= 253 and _NAME.fullmatch(text) is not None


def _unreadable(text: str) -> ValueError:
    return ValueError(f"{text!r} is neither a name nor a network")
