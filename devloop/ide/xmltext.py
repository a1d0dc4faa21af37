"""Texts as XML can hold them. Pure."""

from __future__ import annotations

import html
import re


def attribute(text: str) -> str:
    """Return a text as an attribute's value."""
    return html.escape(legal(text))


def legal(text: str) -> str:
    """Return a text with what XML cannot hold marked as lost (XML 1.0, section 2.2)."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
