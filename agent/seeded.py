"""What the seeding of a root from the app's image had to leave out: see scripts/seed.sh, which lists it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final

from agent.roots import RootSpec

LIST: Final = "unseeded"

# A list of a whole unreadable tree is counted this far.
_READ_BYTES: Final = 1024 * 1024
_SHOWN: Final = 5


def notes(specs: Iterable[RootSpec]) -> Iterator[str]:
    """Return a sentence for people about each root that misses files of the image."""
    for spec in specs:
        try:
            with open(os.path.join(spec.state, LIST), "rb") as file:
                raw = file.read(_READ_BYTES)
        except OSError:
            continue
        left = [line.decode("utf-8", "replace").removeprefix("./") for line in raw.splitlines()]
        if left:
            shown = ", ".join(left[:_SHOWN]) + (", …" if len(left) > _SHOWN else "")
            yield f"{len(left)} paths of {spec.to} in the image cannot be read by its user and are missing: {shown}"
