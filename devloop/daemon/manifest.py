"""An agent's manifest as it comes in: part by part, with a bound on what it may come to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from devloop import errors
from devloop.core.entry import Entry
from devloop.protocol import answers, messages

# More paths than any root has; an agent that lists more is not one of ours, and would fill the laptop's memory.
MAX_ROWS: Final = 2_000_000


class Manifest(msgspec.Struct, frozen=True):
    """What is really in a root.

    Attributes:
        rows: Path, entry, and whether devloop manages it.
        drifted: What was shipped, for each managed path that somebody else changed or removed since.
    """

    rows: list[tuple[str, Entry, bool]]
    drifted: dict[str, Entry]


async def read(parts: AsyncIterator[messages.Part]) -> Manifest:
    """Read a whole manifest.

    Args:
        parts: The answer's parts.

    Raises:
        RemoteProtocolError: It is malformed, or has no end.
    """
    found = Manifest([], {})
    async for part in parts:
        for row in answers.part_to_rows(part):
            if row.entry is not None:
                found.rows.append((row.path, row.entry, row.managed))
            if row.was is not None:
                found.drifted[row.path] = row.was
        if len(found.rows) > MAX_ROWS:
            raise errors.RemoteProtocolError(f"a manifest of more than {MAX_ROWS} paths", where="Part")
    return found
