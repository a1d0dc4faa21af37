"""What git said about a repository, and whether it would say something else now.

`devloop.fs.ignore` keeps one of these for the repository that a sync's root lies in, and one for each below it.
"""

from __future__ import annotations

from devloop.core import matcher, paths
from devloop.fs import gitrepo


class GitState:
    """A repository's answers, and what its files looked like when it gave them.

    Args:
        folder: Where the repository was found, below the sync's root; empty for the one that the root lies in.
        git: The repository, seen from that folder.

    Attributes:
        git: As given.
        excludes_file: The user's global ignore file, absolute; None if there is none.
        index: What the index lists, relative to the sync's root.

    Raises:
        GitError: It cannot be read.
    """

    __slots__ = ("_config_seen", "_folder", "_index_seen", "excludes_file", "git", "index")

    def __init__(self, folder: str, git: gitrepo.GitRepo) -> None:
        self._folder = folder
        self.git = git
        # looked at before git is asked, so that a change in between is seen the next time
        self._config_seen = self._config_signatures()
        self._index_seen = git.index_signature()
        self.excludes_file = git.excludes_file()
        self.index = self._ask_index()

    def config_changed(self) -> bool:
        """Say whether a configuration file is another one than when git was asked."""
        return self._config_signatures() != self._config_seen

    def refresh_index(self) -> matcher.Index | None:
        """Ask for the index again if its file changed; return the old one, or None where the two are equal.

        Raises:
            GitError: It cannot be read; the old one stays.
        """
        seen = self.git.index_signature()
        if seen == self._index_seen:
            return None
        old, new = self.index, self._ask_index()
        self.index, self._index_seen = new, seen
        return old if new != old else None

    def _ask_index(self) -> matcher.Index:
        index = self.git.index()
        if not self._folder:
            return index
        return matcher.Index(
            frozenset(paths.join(self._folder, path) for path in index.paths),
            frozenset(paths.join(self._folder, path) for path in index.submodules),
        )

    def _config_signatures(self) -> list[gitrepo.Signature | None]:
        return [gitrepo.signature(path) for path in self.git.config_files()]
