"""A process group as one thing: signal it, wait until nothing of it is left, end it with grace.

Every group here is led by a process that devloop started in a session of its own, and is named by that process's
`Identity`. What keeps a stranger from being signalled:

- While the leader exists, its start time proves that it is ours.
- While any member exists, the kernel gives the group's number to no new process, so a group without its leader is ours
  as well.
- A process that has the leader's id but another start time proves that the number was free once, so our group is gone.

Of that nothing is left open but a moment between the look and the signal, in which all members would have to end and
the kernel come round to the very same number.

A child that makes a session of its own (a daemon) is not in the group any more, and escapes. A child that is being
forked at the moment of the signal, by a parent with a handler for it, may miss it (seen with a shell that has a trap);
if its parent leaves it behind, KILL ends it after the grace. It is not sent TERM once more when the leader ends,
because to a server below `sh -c` that would be a second one, which many take as "at once".
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

from devloop.proc import table
from devloop.proc.identity import Identity

# How often to look where the system cannot tell when a process ends.
_LOOK_EVERY_S: Final = 0.02
_SECOND_LOOK_S: Final = 0.1
# What a KILL does not end in this time is stuck in the kernel or belongs to another user.
KILL_WAIT_S: Final = 5.0


def living(leader: Identity) -> list[table.Seen]:
    """Return the members of the group that have not ended, the leader included."""
    if not _may_exist(leader):
        return []
    # Zombies are left out: an orphan's is reaped by PID 1, and in a container that may be a program that never does.
    members = table.members(leader.pid)
    return [seen for seen in members if not seen.zombie and seen.session in (0, leader.pid)]


def send(leader: Identity, number: int) -> bool:
    """Send a signal to the whole group.

    Returns:
        Whether there was a group to send it to, if only one of zombies.
    """
    return _may_exist(leader) and _killpg(leader.pid, number)


def send_leader(leader: Identity, number: int) -> bool:
    """Send a signal to the leader only.

    Returns:
        Whether it exists.
    """
    seen = table.look(leader.pid)
    if seen is None or seen.start != leader.start:
        return False
    try:
        os.kill(leader.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


async def empty(leader: Identity) -> None:
    """Wait until no member of the group is alive. There is no deadline; cancelling is safe."""
    while members := living(leader):
        # A member may leave the group without ending, by a session of its own: hence the second look.
        await end_of(members[0].pid, _SECOND_LOOK_S)


async def end(leader: Identity, grace_s: float, number: int = signal.SIGTERM) -> bool:
    """End a group: the signal, a time of grace, then KILL.

    Args:
        leader: The process that leads the group; it may have ended already.
        grace_s: Seconds between the signal and KILL.
        number: The first signal.

    Returns:
        Whether the group is gone.
    """
    send(leader, number)
    if await _is_empty_within(leader, grace_s):
        return True
    send(leader, signal.SIGKILL)
    return await _is_empty_within(leader, KILL_WAIT_S)


async def end_stale(leader: Identity, grace_s: float) -> bool:
    """End a group that an earlier run of this program left behind; see `end`.

    Returns:
        Whether there was anything to end.
    """
    if leader.boot != table.boot_id() or not living(leader):
        return False
    await end(leader, grace_s)
    return True


async def end_of(pid: int, at_most_s: float | None = None) -> None:
    """Wait until a process has ended, whoever its parent is.

    Where the system cannot tell (no pidfd: macOS, old kernels) it returns after a short while whatever happened, so
    a caller looks and, if need be, waits again.

    Args:
        pid: The process.
        at_most_s: Return after this time in any case.
    """
    try:
        fd = _pidfd(pid)
    except ProcessLookupError:
        return
    if fd is None:
        await asyncio.sleep(_LOOK_EVERY_S)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        loop.add_reader(fd, ended.set)
        async with asyncio.timeout(at_most_s):
            await ended.wait()
    except TimeoutError:
        return
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def _is_empty_within(leader: Identity, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await empty(leader)
    except TimeoutError:
        return False
    return True


def _may_exist(leader: Identity) -> bool:
    """Say whether there may be members, zombies included, at the cost of a system call or two."""
    if not _killpg(leader.pid, 0):
        return False
    seen = table.look(leader.pid)
    return seen is None or seen.start == leader.start


def _killpg(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Someone is there, but none whom this user may signal: a setuid child, or on macOS a zombie.
        return True
    return True


def _pidfd(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        # ENOSYS, EPERM: a sandbox without the call; EMFILE: no descriptor is left.
        return None
