"""The limits of inotify: their numbers, and the words that tell how to raise them.

The numbers come from /proc/sys (inotify(7), and user_namespaces(7) for the limits of a user namespace).
"""

from __future__ import annotations

from typing import Final

# What editors ask for as well; a watch takes about 1 KiB of kernel memory, and only when it is used.
_SENSIBLE_WATCHES: Final = 524_288
_SENSIBLE_INSTANCES: Final = 1_024

_WATCHES: Final = ("/proc/sys/fs/inotify/max_user_watches", "/proc/sys/user/max_inotify_watches")
_INSTANCES: Final = ("/proc/sys/fs/inotify/max_user_instances", "/proc/sys/user/max_inotify_instances")


def allowed_watches() -> int:
    """Return how many watches this user may hold in all programs; 0 where the system does not tell."""
    return _smallest(_WATCHES)


def allowed_instances() -> int:
    """Return how many inotify instances this user may hold in all programs; 0 where the system does not tell."""
    return _smallest(_INSTANCES)


def watches_hint(needed: int, allowed: int) -> str:
    """Return the commands that allow enough watches.

    Args:
        needed: Watches that this root takes.
        allowed: The present limit, which other programs use too.
    """
    return _hint("fs.inotify.max_user_watches", _sensible(_SENSIBLE_WATCHES, needed, allowed))


def instances_hint(allowed: int) -> str:
    """Return the commands that allow more inotify instances than the present limit."""
    return _hint("fs.inotify.max_user_instances", _sensible(_SENSIBLE_INSTANCES, 1, allowed))


def _sensible(usual: int, needed: int, allowed: int) -> int:
    # A power of two with room for this root on top of what the other programs use already.
    wanted = max(usual, allowed + 2 * needed)
    return 1 << (wanted - 1).bit_length()


def _hint(key: str, value: int) -> str:
    return (
        f"sudo sysctl {key}={value}; to keep it over restarts: "
        f"echo {key}={value} | sudo tee /etc/sysctl.d/60-devloop.conf"
    )


def _smallest(files: tuple[str, ...]) -> int:
    numbers = [number for number in map(_number, files) if number > 0]
    return min(numbers, default=0)


def _number(file: str) -> int:
    try:
        with open(file, encoding="ascii") as handle:
            return int(handle.read())
    except (OSError, ValueError):
        return 0
