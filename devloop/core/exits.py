"""How a process ended, in words.

An exit status is Python's: 0 to 255 as the process gave it, or minus the number of the signal that killed it.
"""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Return a signal's name, such as `SIGTERM`, or `signal 35` where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def describe(status: int) -> str:
    """Return `exit 1` or `killed by SIGKILL`."""
    return f"killed by {signal_name(-status)}" if status < 0 else f"exit {status}"


def from_shell(status: int) -> int:
    """Return an exit status that a shell gave: more than 128 is a signal to it."""
    try:
        return -signal.Signals(status - 128).value
    except ValueError:
        return status
