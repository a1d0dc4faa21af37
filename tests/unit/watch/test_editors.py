"""Each editor's way to save, with its own system calls, is one modification of the right file.

An event is a hint, so what counts is what somebody finds who looks where each batch says: nothing but the saved file,
changed once. The times of batching are stretched, so that a slow test machine changes nothing.
"""

from __future__ import annotations

import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from devloop.watch import batcher, watcher
from tests.unit.watch.test_watcher import batches, collect

if sys.platform != "linux":
    pytest.skip("needs inotify, which tells of each system call", allow_module_level=True)

TIMING = batcher.Timing(grace_s=0.1, quiet_s=0.1, lone_cap_s=5.0, burst_cap_s=5.0, gone_s=5.0, open_s=5.0)
TEMPORARY = ("*~", ".*.sw?", "4913", "*___jb_???___", ".#*", "#*#", "sed??????", ".goutputstream-*")
NAME = "app.py"
Look = tuple[bytes, int] | None
Editor = Callable[[pathlib.Path], object]


def is_temporary(path: str) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in TEMPORARY)


def look(file: pathlib.Path) -> Look:
    try:
        return file.read_bytes(), file.stat().st_mode
    except OSError:
        return None


def write(file: pathlib.Path, content: str, flags: int = os.O_CREAT | os.O_TRUNC) -> None:
    handle = os.open(file, os.O_WRONLY | flags, 0o644)
    os.write(handle, content.encode())
    os.fsync(handle)
    os.close(handle)


def vim_by_rename(file: pathlib.Path) -> None:
    """backupcopy=no, as vim's buf_write() does it."""
    probe = file.with_name("4913")
    write(probe, "", os.O_CREAT | os.O_EXCL)
    probe.unlink()
    backup = file.with_name(f"{NAME}~")
    file.rename(backup)
    write(file, "vim", os.O_CREAT | os.O_EXCL)
    file.chmod(0o644)
    backup.unlink()


def vim_by_copy(file: pathlib.Path) -> None:
    """backupcopy=yes."""
    backup = file.with_name(f"{NAME}~")
    write(backup, file.read_text())
    write(file, "vim", os.O_TRUNC)
    file.chmod(0o644)
    backup.unlink()


def jetbrains(file: pathlib.Path) -> None:
    """Safe write: a new file beside it, then two renames."""
    new, old = file.with_name(f"{NAME}___jb_tmp___"), file.with_name(f"{NAME}___jb_old___")
    write(new, "idea", os.O_CREAT | os.O_EXCL)
    file.rename(old)
    new.rename(file)
    old.unlink()


def vs_code(file: pathlib.Path) -> None:
    """In place: opened for writing, truncated, written."""
    handle = os.open(file, os.O_RDWR)
    os.ftruncate(handle, 0)
    os.write(handle, b"code")
    os.close(handle)


def emacs(file: pathlib.Path) -> None:
    """A lock, an automatic save, a backup by rename, the new file."""
    lock, automatic = file.with_name(f".#{NAME}"), file.with_name(f"#{NAME}#")
    lock.symlink_to("me@host.4242:1700000000")
    write(automatic, "emacs")
    file.rename(file.with_name(f"{NAME}~"))
    write(file, "emacs", os.O_CREAT | os.O_EXCL)
    file.chmod(0o644)
    automatic.unlink()
    lock.unlink()


def gedit(file: pathlib.Path) -> None:
    """GLib's way, which many others share: a temporary file that is renamed over it."""
    new = file.with_name(".goutputstream-ABC123")
    write(new, "glib", os.O_CREAT | os.O_EXCL)
    new.rename(file)


def sed(file: pathlib.Path) -> None:
    subprocess.run(["sed", "-i", "s/old/new/", str(file)], check=True)


def real_vim(*settings: str) -> Editor:
    def save(file: pathlib.Path) -> None:
        # vim makes no backups in temporary folders, where this one is.
        options = " ".join(("backupskip=", *settings))
        program = ["vim", "-Nu", "NONE", "-es", "-c", f"set {options}", "-c", "s/old/new/", "-c", "wq", str(file)]
        subprocess.run(program, stdin=subprocess.DEVNULL, check=True, timeout=30)

    return save


EDITORS: dict[str, Editor] = {
    "vim, backup by rename": vim_by_rename,
    "vim, backup by copy": vim_by_copy,
    "JetBrains": jetbrains,
    "VS Code": vs_code,
    "emacs": emacs,
    "GLib": gedit,
    "sed -i": sed,
    "real vim, backupcopy=auto": real_vim("backupcopy=auto", "writebackup"),
    "real vim, backupcopy=yes": real_vim("backupcopy=yes", "writebackup"),
    "real vim, backupcopy=no": real_vim("backupcopy=no", "writebackup"),
    "real vim, backups kept": real_vim("backupcopy=no", "backup"),
    "real vim, no backup": real_vim("nobackup", "nowritebackup"),
}


@pytest.mark.parametrize("editor", EDITORS.values(), ids=EDITORS.keys())
async def test_a_save_is_one_modification_of_one_file(tmp_path: pathlib.Path, editor: Editor) -> None:
    if "real_vim" in editor.__qualname__ and shutil.which("vim") is None:
        pytest.skip("vim is not installed")
    file = tmp_path / NAME
    write(file, "old")
    known: dict[str, Look] = {NAME: look(file)}
    async with watcher.Watcher(str(tmp_path), prune=lambda path: False, ignored=is_temporary, timing=TIMING) as subject:
        found = [batch for batch in batches(await collect(subject, lambda: editor(file))) if batch.paths]
    assert [sorted(batch.paths) for batch in found] == [[NAME]]
    assert not any(batch.rescans for batch in found)
    assert look(file) not in {known[NAME], None}


@pytest.mark.parametrize("editor", EDITORS.values(), ids=EDITORS.keys())
async def test_without_the_list_of_temporary_names_the_right_file_is_still_found(
    tmp_path: pathlib.Path, editor: Editor
) -> None:
    if "real_vim" in editor.__qualname__ and shutil.which("vim") is None:
        pytest.skip("vim is not installed")
    file = tmp_path / NAME
    write(file, "old")
    known: dict[str, Look] = {NAME: look(file)}
    modified = []
    async with watcher.Watcher(str(tmp_path), prune=lambda path: False, timing=TIMING) as subject:
        for batch in batches(await collect(subject, lambda: editor(file))):
            for path in sorted(batch.paths):
                now = look(tmp_path / path)
                if now != known.get(path) and not is_temporary(path):
                    modified.append(path)
                known[path] = now
    assert modified == [NAME]
