"""A kubelet in memory: the file of a container's log, and what a request for it brings (logs.go of 1.20 and 1.36)."""

from __future__ import annotations

import datetime


def stamp(at_ns: int) -> bytes:
    """Return a moment as the kubelet writes it."""
    whole = datetime.datetime.fromtimestamp(at_ns // 1_000_000_000, tz=datetime.UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at_ns % 1_000_000_000:09d}Z".encode()


class Log:
    """One file of lines, each with the moment of its stamp."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, bytes]] = []

    def write(self, at_ns: int, text: bytes) -> None:
        self.lines.append((at_ns, text))

    def rotate(self, keep: int) -> None:
        """Leave only the last lines: the rest is in a file that no request reads."""
        self.lines = self.lines[len(self.lines) - keep :]

    def read(self, since: str = "", tail: int | None = None) -> bytes:
        lines = self.lines if tail is None else self.lines[max(0, len(self.lines) - tail) :]
        from_ns = 0
        if since:
            from_ns = int(datetime.datetime.fromisoformat(since).timestamp()) * 1_000_000_000
        return b"".join(stamp(at) + b" " + text + b"\n" for at, text in lines if at >= from_ns)
