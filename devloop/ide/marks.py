"""What devloop wrote itself, and whether somebody changed it since: a digest of the content, in a comment beside it.

An entry with a mark that fits is devloop's, and is replaced when devloop.yaml changes. Everything else is a person's,
also where it has the same name, and is kept. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final

_FOUND: Final = re.compile(r"written by `devloop ide`, ([0-9a-f]{12})\b")


def of_value(value: Any) -> str:
    """Return the comment for JSON's own values."""
    return of_text(json.dumps(value, sort_keys=True, ensure_ascii=False))


def of_text(text: str) -> str:
    """Return the comment for a text."""
    # A lone surrogate, which a path may hold, is no character of UTF-8.
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"written by `devloop ide`, {digest}; change it and it is yours"


def fits(mark: str, comments: str) -> bool:
    """Say whether a comment among others is the mark."""
    wanted = _FOUND.search(mark)
    found = _FOUND.search(comments)
    return wanted is not None and found is not None and wanted[1] == found[1]
