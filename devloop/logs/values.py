"""What the parts of `devloop.logs` hand to each other: where a line comes from, lines, remarks.

Pure. Lines stay the bytes that came, each with its stamp in front (`devloop.logs.stamps.split`); who shows them decides
what of them is decoded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import msgspec


class Origin(msgspec.Struct, frozen=True):
    """One container of one pod.

    Attributes:
        service: Whose pod it is.
        pod: The pod's name.
        uid: Its identity: a pod of a StatefulSet that is replaced keeps its name.
        container: The container's name.
    """

    service: str
    pod: str
    uid: str
    container: str


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Lines of one container, in their order.

    Attributes:
        origin: Whose.
        run: How often the container had been restarted before it printed them.
        lines: With their stamps, without their ends; see `devloop.logs.lines` for long ones.
    """

    origin: Origin
    run: int
    lines: Sequence[bytes]


class Note(msgspec.Struct, frozen=True):
    """A remark for people: what cannot be read, what is waited for.

    Attributes:
        origin: About whom; the pod is empty where it is about all of a service.
        text: What happened.
        hint: What to do about it, or what devloop does.
    """

    origin: Origin
    text: str
    hint: str = ""


Item: TypeAlias = Batch | Note
Put: TypeAlias = Callable[[Item], Awaitable[None]]


class Start(msgspec.Struct, frozen=True):
    """Where to begin in the log of a container that was there before anybody read.

    Attributes:
        since: From this moment on, as a request takes it; empty for the beginning of the current run.
        tail: With so many lines from the end; None for all.
    """

    since: str = ""
    tail: int | None = None
