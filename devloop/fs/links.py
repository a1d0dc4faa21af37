"""What a symbolic link may say: the policy, without a disk.

Links are kept as links. One that is absolute, or that climbs out of its root, would mean something else (or
nothing) in the target, so it is reported and not shipped.

The judgement is lexical: it reads what the link says, and does not resolve the links on the way. That is enough,
because nothing in devloop ever walks through a link in the target; it decides what is useful to ship, not what
is safe to open.
"""

from __future__ import annotations

import enum

from devloop.core import paths


class Symlinks(enum.StrEnum):
    """What is done with symbolic links; the values of `symlinks:` in the config."""

    KEEP = "keep"
    FOLLOW = "follow"
    SKIP = "skip"


def refusal(path: str, target: bytes) -> str:
    """Say why the link at `path` is not shipped; empty if it may be.

    Args:
        path: Where the link is, relative to the root.
        target: What it says.
    """
    shown = target.decode("utf-8", "replace")
    if target.startswith(b"/"):
        return f"the link is absolute: {shown}"
    depth = paths.depth(paths.parent(path))
    for segment in target.split(b"/"):
        if segment == b"..":
            depth -= 1
        elif segment not in {b"", b"."}:
            depth += 1
        if depth < 0:
            return f"the link leads out of the synced folder: {shown}"
    return ""


def beyond(real: str, boundary: str) -> str:
    """Say why a followed link's target is not read; empty if it may be.

    Args:
        real: The absolute path that the link leads to, without links on the way.
        boundary: The absolute folder that followed links must stay in, likewise.
    """
    inside = real == boundary or real.startswith(boundary.rstrip("/") + "/")
    if not inside:
        return f"the link leads out of {boundary}: {real}"
    for segment in real[len(boundary) :].split("/"):
        if segment in paths.RESERVED:
            return f"the link leads into {segment}, which is never synced"
    return ""
