"""What Linux says of a process: memory, processor time, children."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Usage(msgspec.Struct, frozen=True):
    """One process, now.

    Attributes:
        rss_mb: Resident memory, in MB of 2**20 bytes.
        peak_mb: The most there ever was (`VmHWM`).
        cpu_s: Processor time used so far, all threads.
        threads: Its threads.
    """

    rss_mb: float
    peak_mb: float
    cpu_s: float
    threads: int


def usage(pid: int) -> Usage:
    """Return what a process uses.

    Raises:
        OSError: It is gone.
    """
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return Usage(
        rss_mb=_kb(status["VmRSS"]) / 1024,
        peak_mb=_kb(status["VmHWM"]) / 1024,
        cpu_s=_cpu_s(Path(f"/proc/{pid}/stat").read_text()),
        threads=int(status["Threads"]),
    )


def reset_peak(pid: int) -> None:
    """Let the peak begin at what is resident now (`proc(5)`, clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _kb(field: str) -> int:
    return int(field.split()[0])


def _cpu_s(stat: str) -> float:
    # The name, in parentheses, may hold blanks; user and system time are fields 14 and 15 of proc(5).
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
