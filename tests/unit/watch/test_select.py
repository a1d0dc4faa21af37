"""Which backend suits a folder."""

import pytest

from devloop.watch import select

MOUNTS = select.parse_mounts(
    "/dev/vda / ext4 rw 0 0\n"
    "nas:/home /home/me nfs4 rw 0 0\n"
    "tmpfs /home/me/.cache tmpfs rw 0 0\n"
    "C:\\134 /mnt/c 9p rw,aname=drvfs 0 0\n"
    "me@host:/ /mnt/my\\040host fuse.sshfs rw 0 0\n"
    "/dev/sdb1 /media/stick fuseblk rw 0 0\n"
    "shared /media/sf_shared vboxsf rw 0 0\n"
    "garbage\n"
)


@pytest.mark.parametrize(
    ("root", "expected", "why"),
    [
        ("/work/project", "inotify", ""),
        ("/home/me/project", "polling", "network"),
        ("/home/me", "polling", "network"),
        ("/home/meeting", "inotify", ""),
        ("/home/me/.cache/x", "inotify", ""),
        ("/mnt/c/Users/me", "polling", "host"),
        ("/mnt/my host/src", "polling", "FUSE"),
        ("/media/stick/src", "inotify", ""),
        ("/media/sf_shared", "polling", "VirtualBox"),
    ],
)
def test_linux_goes_by_the_file_system(root: str, expected: str, why: str) -> None:
    choice = select.choose("linux", root, MOUNTS, None)
    assert choice.backend == expected
    assert why in choice.why
    assert bool(choice.why) == (expected == "polling")


def test_of_two_mounts_at_one_point_the_later_hides_the_other() -> None:
    mounts = select.parse_mounts("a /x nfs rw 0 0\nb /x ext4 rw 0 0\n")
    assert select.choose("linux", "/x/y", mounts, None).backend == "inotify"


def test_an_interval_in_the_configuration_decides() -> None:
    assert select.choose("darwin", "/x", [], 2.5) == select.Choice("polling", 2.5, "as the configuration says")


def test_other_platforms() -> None:
    assert select.choose("darwin", "/x", [], None).backend == "fsevents"
    assert "sunos" in select.choose("sunos", "/x", [], None).why
