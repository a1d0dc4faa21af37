"""Paths of the target in a command's output, turned into the laptop's, so that a click or a copy finds the file.

What a program in the target prints as `/app/src/x.py:12` is `web/src/x.py:12` in the project folder. Only absolute
paths are touched, and only where one surely begins and the folder's name surely ends; a relative path says nothing
about the folder that it is relative to, so it stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec


class Pair(msgspec.Struct, frozen=True):
    """One sync, as far as paths go.

    Attributes:
        there: The absolute folder in the target, such as `/app`.
        here: The laptop's folder for it, relative to where devloop was started, such as `web`; empty or `.` for
            that folder itself.
    """

    there: str
    here: str


# A character before a path that makes it a part of something longer: `/srv/app`, `../app`, `~/app`, `host.com/app`.
_WITHIN = r"(?<![\w.\-/~}*%+@])"
# A colour, which ends in a letter, may stand right before a path.
_COLOUR = r"\x1b\[[0-9;]*m"
# Node names modules by `file:///app/x.js`.
_SCHEME = r"(?:file://)?"
# The folder's name ends here: not `/app2`, not `/app.old`, but `/app.` at the end of a sentence.
_END = r"(?![\w\-~%+@]|\.[\w\-])"


class PathMap:
    """The folders of one service, ready to rewrite lines.

    Args:
        pairs: One for each sync; the order does not matter, the longest folder that fits is taken.
    """

    def __init__(self, pairs: Iterable[Pair]) -> None:
        folders = {pair.there.rstrip("/"): pair.here.rstrip("/") or "." for pair in pairs}
        # `/` as a folder is never synced, and would turn every path into the project's.
        folders.pop("", None)
        self._folders = folders
        longest_first = sorted(folders, key=len, reverse=True)
        names = "|".join(map(re.escape, longest_first))
        self._pattern = re.compile(f"({_COLOUR}|{_WITHIN}){_SCHEME}({names}){_END}") if names else None

    def rewrite(self, text: str) -> str:
        """Return a line with the laptop's paths in the place of the target's."""
        return self._pattern.sub(self._replace, text) if self._pattern else text

    def _replace(self, match: re.Match[str]) -> str:
        return match[1] + self._folders[match[2]]
