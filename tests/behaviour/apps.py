"""The app that the behaviour tests run under supervision."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# Tells of its start in a file beside the target, then waits; a child of its own waits with it.
PROGRAM = """\
import os, pathlib, subprocess, sys, time
VERSION = "0"
out = pathlib.Path(sys.argv[1])
if VERSION == "crash":
    raise SystemExit("broken on purpose")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
with out.open("a") as stream:
    stream.write(f"{VERSION} {os.getpid()} {child.pid}\\n")
time.sleep(1000)
"""


def version(text: str) -> str:
    """Return the program with a version."""
    return PROGRAM.replace('VERSION = "0"', f'VERSION = "{text}"')


def starts(out: Path) -> list[tuple[str, int, int]]:
    """Return version, process and child of each start so far."""
    if not out.exists():
        return []
    rows = [line.split() for line in out.read_text().splitlines()]
    return [(words[0], int(words[1]), int(words[2])) for words in rows if len(words) == 3]


def runs(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def kill(pid: int) -> None:
    """Kill a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)
