"""Starting work in a task group that may be ending at this very moment."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def spawn(group: asyncio.TaskGroup | None, work: Coroutine[Any, Any, object]) -> bool:
    """Start work in a group, or drop it where there is none or where it takes no more; say whether it was started.

    What is dropped needs a link or a service that has just ended; the next one begins by finding out what is missing.

    Args:
        group: The group; None before its time and after.
        work: Not started yet.
    """
    if group is not None:
        try:
            group.create_task(work)
            return True
        except RuntimeError:
            # One of its tasks failed and the others are being cancelled.
            pass
    work.close()
    return False
