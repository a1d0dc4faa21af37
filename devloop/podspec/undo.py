"""What is written on a lease, so that an injection into a workload's template can be undone by whoever comes to do it.

Pure. The laptop writes it before it changes a template (`devloop.inject.lease`); the laptop, or the sweeper in the
cluster, reads it to put the template back. `SWEEPER` is how the laptop learns that there is a sweeper that does so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

WORKLOAD: Final = "devloop.dev/workload"
"""The annotation that names the workload: `deployment/web`."""
OWNER: Final = "devloop.dev/owner"
"""The annotation that names whose session it is, for people."""
RESTORE: Final = "devloop.dev/restore"
"""The annotation that holds a `Restore`."""

SWEEPER: Final = "devloop-sweeper"
"""The Lease that Ops' chart puts into the namespaces in which the sweeper restores; its holder is the sweeper."""

VERSION: Final = 1


class Restore(msgspec.Struct, frozen=True):
    """How to undo the change.

    Attributes:
        record: The record of the injection, as its annotation had it.
        original: Digest of the template before.
        injected: Digest of the template after.
        version: Of this form.
    """

    record: str
    original: str
    injected: str
    version: int = VERSION

    def text(self) -> str:
        """Return the annotation's value."""
        return msgspec.json.encode(self).decode()


def read(annotations: Mapping[str, Any]) -> Restore:
    """Return what a lease's annotations tell.

    Raises:
        ValueError: Nothing that this devloop could undo.
    """
    try:
        told = msgspec.json.decode(annotations[RESTORE], type=Restore)
    except (KeyError, TypeError, msgspec.DecodeError) as error:
        raise ValueError(f"{RESTORE}: {error}") from None
    if told.version != VERSION:
        raise ValueError(f"version {told.version}")
    return told


def digest(template: object) -> str:
    """Return what identifies a pod template, whatever the order of its keys."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
