"""What all services of one watching process share."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from devloop.config import model
from devloop.state import basestore, trash
from devloop.sync import events


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a service is given by the daemon.

    Attributes:
        project: The project's folder.
        state: The project's state folder.
        session: This watch's identity.
        owner: `user@host`.
        takeover: Take sessions over from other owners.
        bases: The store of delta bases.
        bin: Where a pull puts what it replaces.
        publish: Where events go.
        watch: How changes are noticed.
    """

    project: str
    state: str
    session: str
    owner: str
    takeover: bool
    bases: basestore.BaseStore
    bin: trash.Trash
    publish: Callable[[events.Event], None]
    watch: model.Watch
