"""Which backend suits a folder: by the platform, the file system it is on, and what the user asked for. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

Name = Literal["inotify", "fsevents", "polling"]

DEFAULT_POLL_INTERVAL_S: Final = 1.0

# Another machine, or the host of a virtual machine, can change what is on these without this kernel being told.
_SHARED: Final = {
    "nfs": "a network file system",
    "nfs4": "a network file system",
    "cifs": "a Windows network share",
    "smb3": "a Windows network share",
    "smbfs": "a Windows network share",
    "ncpfs": "a network file system",
    "afs": "a network file system",
    "ceph": "a network file system",
    "lustre": "a network file system",
    "gpfs": "a network file system",
    "beegfs": "a network file system",
    "glusterfs": "a network file system",
    "9p": "a folder of the host",
    "drvfs": "a folder of the Windows host",
    "virtiofs": "a folder of the host",
    "vboxsf": "a folder of the VirtualBox host",
    "vmhgfs": "a folder of the VMware host",
    "prl_fs": "a folder of the Parallels host",
    "fuse": "a FUSE file system",
    "fakeowner": "a folder of the Docker Desktop host",
    "grpcfuse": "a folder of the Docker Desktop host",
}


class Mount(msgspec.Struct, frozen=True):
    """One line of /proc/mounts.

    Attributes:
        point: Where it is mounted, absolute.
        kind: The file system's type.
    """

    point: str
    kind: str


class Choice(msgspec.Struct, frozen=True):
    """The backend for a root.

    Attributes:
        backend: Its name.
        interval_s: For polling: seconds between two looks.
        why: For people; empty where it is the platform's usual one.
    """

    backend: Name
    interval_s: float = DEFAULT_POLL_INTERVAL_S
    why: str = ""


def choose(platform: str, root: str, mounts: list[Mount], poll_interval_s: float | None) -> Choice:
    """Return the backend for a root.

    Args:
        platform: `sys.platform`.
        root: The folder's absolute path, without symbolic links.
        mounts: From `parse_mounts`; empty where the platform has none.
        poll_interval_s: What the user asked for; None means to decide here.
    """
    if poll_interval_s is not None:
        return Choice("polling", poll_interval_s, "as the configuration says")
    if platform == "darwin":
        return Choice("fsevents")
    if platform != "linux":
        return Choice("polling", why=f"devloop knows no way to be told of changes on {platform}")
    mount = mount_of(root, mounts)
    shared = _shared(mount.kind) if mount is not None else None
    if mount is not None and shared is not None:
        return Choice(
            "polling",
            why=f"{mount.point} is {shared} ({mount.kind}), and changes made on the other side of it are not told",
        )
    return Choice("inotify")


def parse_mounts(text: str) -> list[Mount]:
    """Return the mounts that /proc/mounts lists (proc_pid_mounts(5)); lines that make no sense are left out."""
    mounts = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 3:
            mounts.append(Mount(_unescape(fields[1]), fields[2]))
    return mounts


def mount_of(path: str, mounts: list[Mount]) -> Mount | None:
    """Return the mount that a path is on: the longest point above it, and of equal ones the last."""
    best = None
    for mount in mounts:
        point = mount.point.rstrip("/")
        above = path == point or path.startswith(point + "/")
        if above and (best is None or len(point) >= len(best.point.rstrip("/"))):
            best = mount
    return best


def _shared(kind: str) -> str | None:
    # "fuseblk" is a local disk (ntfs-3g, exfat): whatever changes it passes through this kernel.
    return _SHARED.get("fuse" if kind.startswith("fuse.") else kind)


def _unescape(field: str) -> str:
    # The kernel writes space, tab, newline and backslash as a backslash and three octal digits.
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
