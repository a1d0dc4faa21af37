"""What each target last acknowledged: the trees that tell a deletion from a file that was never shipped.

One table for each sync and tree id. A target whose volume was made anew has a new tree id and so an empty baseline;
nothing is deleted there on the strength of what another one had.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Final

from devloop import errors
from devloop.core import tree
from devloop.core.entry import Entry
from devloop.core.tree import TreeDelta
from devloop.fs import table
from devloop.state import private

# A volume that has not been seen for this long does not come back.
KEEP_S: Final = 60 * 24 * 3600


class Baseline:
    """The last acknowledged tree of one sync on one target. Not safe for use from several threads.

    Args:
        path: Its file.
    """

    def __init__(self, path: str) -> None:
        self._table: table.Table[Entry] = table.Table(path, Entry)
        self._path = path

    def load(self) -> tree.Tree:
        """Return the tree, empty if there is none yet; the caller's to change.

        Raises:
            LocalError: The file cannot be opened.
        """
        try:
            rows = self._table.open()
            os.utime(self._path)
        except OSError as error:
            raise _unusable(self._path, error) from error
        return tree.Tree(rows)

    def update(self, delta: TreeDelta) -> None:
        """Persist what was acknowledged; the cost is that of the changes. To be called after `load`.

        Raises:
            LocalError: The disk refused; the baseline is as it was.
        """
        changes: dict[str, Entry | None] = dict.fromkeys(delta.gone)
        changes.update(delta.put)
        try:
            self._table.update(changes)
        except OSError as error:
            raise _unusable(self._path, error) from error

    def clear(self) -> None:
        """Forget everything: the target was found to be another one.

        Raises:
            LocalError: The disk refused.
        """
        try:
            self._table.clear()
        except OSError as error:
            raise _unusable(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._table.close()


class Baselines:
    """The baselines of one project.

    Args:
        folder: The project's state folder.
    """

    def __init__(self, folder: str) -> None:
        self._folder = f"{folder}/baselines"

    def of(self, service: str, sync: str, tree_id: str) -> Baseline:
        """Return one target's baseline, to be loaded.

        Args:
            service: The service's name.
            sync: What tells its syncs apart, such as `from` and `to`; kept while the config's order changes.
            tree_id: The identity of the target's volume.

        Raises:
            LocalError: The folder cannot be made.
        """
        private.folder(self._folder)
        return Baseline(f"{self._folder}/{private.name(chr(0).join((service, sync, tree_id)))}.log")

    def prune(self, now_s: float | None = None) -> None:
        """Remove the baselines of targets that have not been seen for 60 days.

        Args:
            now_s: Seconds since 1970; now by default.
        """
        oldest_s = (time.time() if now_s is None else now_s) - KEEP_S
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as listing:
            for file in listing:
                with contextlib.suppress(OSError):
                    if file.stat(follow_symlinks=False).st_mtime < oldest_s:
                        os.unlink(file.path)


def _unusable(path: str, error: OSError) -> errors.LocalError:
    hint = "free its disk or correct its permissions, or set DEVLOOP_STATE_DIR"
    return errors.LocalError(f"cannot keep the baseline {path}: {error.strerror or error}", hint=hint)
