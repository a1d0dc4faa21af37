"""Addresses inside devloop.yaml: a web server, and links with fields to fill in.

As in `devloop.config.values`, each function takes what was written and returns it checked, or raises `BadValue`. Pure.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import Final

from devloop.config import values

_BLANK: Final = re.compile(r"[\s\x00-\x1f\x7f]")
# What a link of `argocd.links` may name; each is what is looked at when the link is opened or shown.
LINK_FIELDS: Final = ("application", "namespace", "pod", "service", "workload")
_FIELD: Final = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|[{}]")


def web_server(value: object) -> str:
    """Return the address of a web server, with its path if it has one and without a slash at the end."""
    text = _text(value).strip()
    whole = text if "://" in text else f"https://{text}"
    try:
        parts = urllib.parse.urlsplit(whole)
        port_ok = parts.port != 0
    except ValueError:
        raise values.BadValue(f"{text!r} is not an address", "write https://argocd.example.com") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_ok or _BLANK.search(whole):
        raise values.BadValue(f"{text!r} is not the address of a web server", "write https://argocd.example.com")
    if parts.username is not None or parts.password is not None:
        raise values.BadValue(
            "the address holds a login, which does not belong into a file", "leave out what is before the @"
        )
    if parts.query or parts.fragment:
        raise values.BadValue(
            f"{text!r} is the address of a page", "name the server only, with the path that it is under"
        )
    return whole.rstrip("/")


def link_template(value: object) -> str:
    """Return the template of a web page's address, such as `https://grafana.example.com/d/x?var-pod={pod}`."""
    text = _text(value).strip()
    for found in _FIELD.finditer(text):
        name = found["name"]
        if name is None and found[0] in {"{", "}"}:
            raise values.BadValue(f"{text!r} has a lone {found[0]!r}", f"write {found[0] * 2} for the character itself")
        if name is not None and name not in LINK_FIELDS:
            listed = ", ".join(f"{{{each}}}" for each in LINK_FIELDS)
            raise values.BadValue(
                f"a link knows no {{{name}}}", values.did_you_mean(name, LINK_FIELDS) or f"one of {listed}"
            )
    scheme = text.partition("://")[0]
    if scheme not in {"http", "https"} or _BLANK.search(text):
        raise values.BadValue(f"{text!r} is not the address of a web page", "write https://grafana.example.com/…")
    return text


def filled(template: str, fields: Mapping[str, str]) -> str:
    """Return a link with its fields put in, each quoted so that it stays one part of the address.

    Args:
        template: From `link_template`.
        fields: By the names of `LINK_FIELDS`; one that is missing is left empty.
    """

    def one(found: re.Match[str]) -> str:
        name = found["name"]
        return found[0][0] if name is None else urllib.parse.quote(fields.get(name, ""), safe="")

    return _FIELD.sub(one, template)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise values.BadValue(f"expected text, found {values.kind_of(value)}")
    return value
