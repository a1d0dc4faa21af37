"""What an editor's files are to hold: values between those who know the editor and those who read and write. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

# A file's text by its path in the workspace; None where it does not exist.
Texts: TypeAlias = Callable[[str], "str | None"]


class File(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        path: Relative to the workspace.
        before: What it holds now; None where it does not exist.
        after: What it is to hold.
        notes: What its reader should know: entries that were kept, for example.
    """

    path: str
    before: str | None
    after: str
    notes: tuple[str, ...] = ()


def kept(path: str, name: str) -> str:
    """Return the note on something that a person wrote or changed."""
    return f"{path}: {name} was not written by devloop, or changed since, and is kept; --force replaces it"
