"""What one sync ignores: its ignore files and git's index, read from the disk and kept up to date.

The scan asks this for every entry on its way down; the watcher asks which folders to watch and which changes make
the rules different. The rules themselves, their precedence and the answers are `devloop.core.rules` and
`devloop.core.matcher`; what git knows comes from `devloop.fs.gitrepo`.

Which files count, for a sync whose root lies in a repository: the user's global ignore file, `info/exclude`, and
`.gitignore` and `.devloopignore` in every folder from the repository's top level down. The root itself is never
ignored. A repository below the root (a submodule, or a clone within a clone) has its own git files and index, and
those from outside do not reach into it; `.devloopignore` and the configuration do. Outside any repository
`.gitignore` files count from the root down.

A folder's files are read when the scan enters it, and when a path in it is asked about. Nothing here writes.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from devloop.core import explanation, matcher, paths, problem, rules
from devloop.fs import gitrepo, gitstate, ignorefile

NAMES: Final = {".gitignore": rules.Layer.GITIGNORE, ".devloopignore": rules.Layer.DEVLOOPIGNORE}
"""The ignore files of a folder."""

_GIT: Final = ".git"


class Ignore:
    """The ignore rules of one sync. Not safe for use from several threads; every method may read the disk.

    Args:
        root: The folder that is synced.
        ignore: The configuration's patterns to ignore, in `.gitignore` syntax.
        include: The configuration's patterns to ship in spite of everything.
        config_label: What people call the file that the two came from.

    Attributes:
        repo: The repository that the root lies in, or why there is none; known after `load`.
    """

    def __init__(
        self, root: str, *, ignore: Sequence[str] = (), include: Sequence[str] = (), config_label: str = "devloop.yaml"
    ) -> None:
        self._root = os.path.realpath(root)
        self._config = {
            rules.Layer.CONFIG: ("ignore", tuple(ignore)),
            rules.Layer.INCLUDE: ("include", tuple(include)),
        }
        self._config_label = config_label
        self.repo: gitrepo.GitRepo | gitrepo.NoRepo = gitrepo.NoRepo(gitrepo.Why.NOT_A_REPOSITORY, "not looked at yet")
        self._reset(rules.RuleSet())

    def load(self) -> None:
        """Read everything that is known before the scan: git's answers, and the files at and above the root.

        Raises:
            GitError: The repository's index or configuration cannot be read.
        """
        found = gitrepo.find(self._root)
        if isinstance(found, gitrepo.NoRepo) and isinstance(self.repo, gitrepo.GitRepo):
            found = _really_gone(found)
        known = gitstate.GitState("", found) if isinstance(found, gitrepo.GitRepo) else None
        rule_set = rules.RuleSet(
            prefix=os.fsencode(known.git.prefix) if known else b"",
            ignorecase=known.git.ignorecase() if known else False,
            globstar_after_prefix=gitrepo.globstar_after_prefix(),
        )
        # from here on nothing fails, so that a reload leaves either the old answers or the new ones
        self.repo = found
        self._reset(rule_set)
        self._matcher.put(rules.Layer.BUILT_IN, b"", rules.BUILT_IN)
        for layer, (key, patterns) in self._config.items():
            listed = rules.parse_lines(patterns, self._prefix, f"{self._config_label}: {key}")
            self._matcher.put(layer, self._prefix, listed)
        if known:
            self._add_repo("", known)
            self._read_above(known.git.top)
        elif isinstance(found, gitrepo.NoRepo) and _is_trouble(found, self._root):
            self._note("", found.detail + (f"; {found.hint}" if found.hint else ""))
        self.enter("")

    def enter(self, folder: str, names: Collection[str] | None = None) -> bool:
        """Read the ignore files of a folder, if they changed; the scan calls this before it asks about entries.

        Args:
            folder: A folder below the root that may be walked, or the root.
            names: The names of its entries where they are known, which saves looking for the files.

        Returns:
            Whether its rules changed since it was last entered.
        """
        self._entered.add(folder)
        changed = self._look_for_repo(folder, names) if folder else False
        for name, layer in NAMES.items():
            if names is None or name in names or (folder, name) in self._files:
                changed |= self._read(folder, name, layer)
        return changed

    def forget(self, folder: str) -> None:
        """Drop what was read in a folder that is gone, and in the folders below it."""
        self._entered -= {known for known in self._entered if paths.is_under(known, folder)}
        for (place, name), file in list(self._files.items()):
            if paths.is_under(place, folder) and name in NAMES:
                self._matcher.put(file.layer, file.base, ())
                del self._files[place, name]
        for repo in [known for known in self._repos if known and paths.is_under(known, folder)]:
            self._drop_repo(repo)

    def ignored(self, path: str, is_folder: bool) -> rules.Verdict:
        """Return whether a path is ignored, and by which rule.

        Args:
            path: A path below the root; it need not exist.
            is_folder: It is a folder; a link to one is not.
        """
        folder = path.rpartition("/")[0]
        if folder not in self._entered:
            self._enter_above(folder)
        return self._matcher.verdict(path, is_folder)

    def may_descend(self, folder: str) -> bool:
        """Say whether a folder is scanned and watched.

        True for one that is not ignored, and for one that holds tracked paths or that `include:` leads into. A
        folder of the latter kind becomes an entry only if something in it is one: ask `ignored` for each.

        Args:
            folder: A path below the root, or the root.
        """
        above = paths.parent(folder)
        if above not in self._entered:
            self._enter_above(above)
        return self._matcher.may_descend(folder)

    def is_source(self, path: str) -> bool:
        """Say whether a change of this path may change the rules, so that `refresh` must be called.

        Args:
            path: Relative to the root, or absolute for what lies outside, such as git's files.
        """
        absolute = os.path.join(self._root, path)
        if absolute in self._outside:
            return True
        folder, name = paths.parent(path), paths.name(path)
        if os.path.isabs(path) or (name not in NAMES and name != _GIT):
            return False
        return self.may_descend(folder)

    def refresh(self, dirty: Iterable[str] | None = None) -> bool:
        """Read again what changed on the disk. Trouble with git becomes a problem, and the old answers stay.

        Args:
            dirty: The changed paths that `is_source` said yes to; None for everything, at three look-ups for every
                folder that was entered.

        Returns:
            Whether any path's verdict may be different now, so that a scan is due.
        """
        try:
            changed = self._refresh_git()
        except gitrepo.GitError as error:
            self._note("", f"{error.message}; what it said before is kept")
            changed = False
        if dirty is None:
            folders = sorted(self._entered)
        else:
            folders = sorted({paths.parent(path) for path in dirty if not os.path.isabs(path)} & self._entered)
        for folder in folders:
            if folder and not os.path.isdir(self._absolute(folder)):
                self.forget(folder)
            else:
                changed |= self.enter(folder)
        return changed

    def rule_set(self) -> rules.RuleSet:
        """Return every rule that is known now, for the agent."""
        return self._matcher.rule_set()

    def sources(self) -> frozenset[str]:
        """Return the absolute paths outside the walked folders whose change `is_source` says yes to."""
        return frozenset(self._outside)

    @property
    def problems(self) -> tuple[problem.Problem, ...]:
        """The trouble with ignore files and repositories that has not gone away."""
        found = [file.problem for file in self._files.values() if file.problem is not None]
        return (*found, *self._trouble.values())

    def explain(self, path: str, is_folder: bool | None = None) -> explanation.Explanation:
        """Return why a path is ignored or not.

        Args:
            path: A path below the root.
            is_folder: It is a folder; None to look at the disk.
        """
        if is_folder is None:
            absolute = self._absolute(path)
            is_folder = os.path.isdir(absolute) and not os.path.islink(absolute)
        verdict = self.ignored(path, is_folder)
        tracked = self._matcher.is_tracked(path)
        if not verdict.ignored:
            overruled = self._matcher.without_index(path, is_folder) if tracked and verdict.rule is None else None
            return explanation.Explanation(path, False, verdict.rule, tracked=tracked, overruled=overruled)
        folder = ""
        for above in paths.ancestors(path):
            if self._matcher.verdict(above, True).rule is verdict.rule:
                folder = above
        return explanation.Explanation(path, True, verdict.rule, folder, tracked)

    def _reset(self, rule_set: rules.RuleSet) -> None:
        self._prefix = rule_set.prefix
        self._matcher = matcher.Matcher(rule_set)
        # by folder and name; git's own files by repository, and those above the root by their absolute folder
        self._files: dict[tuple[str, str], ignorefile.IgnoreFile] = {}
        self._repos: dict[str, gitstate.GitState] = {}
        self._broken: dict[str, gitrepo.Signature | None] = {}
        self._trouble: dict[str, problem.Problem] = {}
        self._entered: set[str] = set()
        self._outside: set[str] = set()

    def _refresh_git(self) -> bool:
        """Ask git again where its files changed, and read the ignore files that no folder's entering reads."""
        self._trouble.pop("", None)
        if isinstance(self.repo, gitrepo.NoRepo):
            return os.path.lexists(self._absolute(_GIT)) and self._reload()
        if any(known.config_changed() for known in self._repos.values()):
            return self._reload()
        changed = False
        for (place, name), file in self._files.items():
            if (name not in NAMES or os.path.isabs(place)) and file.refresh():
                changed |= self._matcher.put(file.layer, file.base, file.rules)
        for folder, known in self._repos.items():
            old = known.refresh_index()
            if old is not None:
                changed |= self._index_matters(old, known.index)
                self._matcher.set_index(folder, known.index)
        return changed

    def _index_matters(self, old: matcher.Index, new: matcher.Index) -> bool:
        """Say whether the difference of two indexes makes some path ignored, or no longer so."""
        if old.submodules != new.submodules:
            return True
        for path in old.paths ^ new.paths:
            self._enter_above(paths.parent(path))
            if self._matcher.yields_to_index(path):
                return True
        return False

    def _reload(self) -> bool:
        """Start over, and enter again what was entered. Returns whether anything is different."""
        before, entered, indexes = self.rule_set(), self._entered, self._indexes()
        self.load()
        for folder in sorted(entered):
            if os.path.isdir(self._absolute(folder)):
                self._enter_above(folder)
        return before != self.rule_set() or indexes != self._indexes()

    def _indexes(self) -> dict[str, matcher.Index]:
        return {folder: known.index for folder, known in self._repos.items()}

    def _enter_above(self, folder: str) -> None:
        """Enter a folder and those above it, as far as they are walked and were not entered."""
        above = [*reversed([*paths.ancestors(folder)]), folder] if folder else []
        for one in above:
            if one in self._entered:
                continue
            if not self._matcher.may_descend(one):
                return
            self.enter(one)

    def _look_for_repo(self, folder: str, names: Collection[str] | None) -> bool:
        """Learn whether a folder is a repository of its own. Returns whether that changed."""
        place = self._absolute(folder)
        has_git = _GIT in names if names is not None else os.path.lexists(f"{place}/{_GIT}")
        if has_git == (folder in self._repos):
            return False
        if not has_git:
            self._drop_repo(folder)
            return True
        seen = gitrepo.signature(os.path.join(place, _GIT))
        if folder in self._broken and self._broken[folder] == seen:
            return False
        self._broken[folder] = seen
        found = gitrepo.find(place)
        if isinstance(found, gitrepo.NoRepo):
            self._note(folder, found.detail)
            return False
        # a broken `.git` is passed over by git, which then answers for the repository outside
        return found.top == place and self._try_repo(folder, found)

    def _try_repo(self, folder: str, found: gitrepo.GitRepo) -> bool:
        try:
            self._add_repo(folder, gitstate.GitState(folder, found))
        except gitrepo.GitError as error:
            self._note(folder, error.message)
            return False
        del self._broken[folder]
        self._trouble.pop(folder, None)
        return True

    def _add_repo(self, folder: str, known: gitstate.GitState) -> None:
        self._repos[folder] = known
        if folder:
            self._matcher.add_repo(folder)
        self._matcher.set_index(folder, known.index)
        base = self._base(folder) if folder else b""
        sources = (
            (rules.Layer.GLOBAL, "global", known.excludes_file),
            (rules.Layer.EXCLUDE, "exclude", known.git.info_exclude),
        )
        for layer, name, path in sources:
            if path is not None:
                file = ignorefile.IgnoreFile(path, layer, base, self._label(path), follow=True)
                file.refresh()
                self._matcher.put(layer, base, file.rules)
                self._files[folder, name] = file
                self._outside.add(path)
        self._outside.update((known.git.index_file, *known.git.config_files()))

    def _drop_repo(self, folder: str) -> None:
        del self._repos[folder]
        for name in ("global", "exclude"):
            file = self._files.pop((folder, name), None)
            if file is not None:
                self._matcher.put(file.layer, file.base, ())
        self._matcher.drop_repo(folder)

    def _read_above(self, top: str) -> None:
        """Read the ignore files of the folders above the root, up to the repository's top level."""
        place = self._root
        while place != top:
            place = os.path.dirname(place)
            base = b"" if place == top else os.fsencode(os.path.relpath(place, top))
            for name, layer in NAMES.items():
                path = os.path.join(place, name)
                file = ignorefile.IgnoreFile(path, layer, base, self._label(path), follow=False)
                file.refresh()
                self._matcher.put(layer, base, file.rules)
                self._files[place, name] = file
                self._outside.add(path)

    def _read(self, folder: str, name: str, layer: rules.Layer) -> bool:
        """Read one ignore file of a folder, if it is there and changed. Returns whether its rules did."""
        path = f"{self._absolute(folder)}/{name}"
        file = self._files.get((folder, name))
        if file is None:
            if not os.path.lexists(path):
                return False
            file = ignorefile.IgnoreFile(path, layer, self._base(folder), self._label(path), follow=False)
            self._files[folder, name] = file
        changed = file.refresh()
        if not file.exists:
            del self._files[folder, name]
        return changed and self._matcher.put(layer, file.base, file.rules)

    def _absolute(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _base(self, folder: str) -> bytes:
        raw = paths.to_wire(folder)
        return self._prefix + b"/" + raw if self._prefix and raw else self._prefix or raw

    def _label(self, path: str) -> str:
        """Return what people call a file: relative to the root where it lies in the repository, else below `~`."""
        top = self.repo.top if isinstance(self.repo, gitrepo.GitRepo) else self._root
        home = os.path.expanduser("~")
        if path.startswith(top + os.sep):
            path = os.path.relpath(path, self._root)
        elif path.startswith(home + os.sep):
            path = "~" + path[len(home) :]
        return os.fsencode(path).decode("utf-8", "backslashreplace")

    def _note(self, path: str, detail: str) -> None:
        self._trouble[path] = problem.Problem(paths.join(path, _GIT), problem.Reason.UNREADABLE, detail)


def _really_gone(missing: gitrepo.NoRepo) -> gitrepo.NoRepo:
    """Return why there is no repository any more, if git says so; that it cannot tell is an error."""
    if missing.why is not gitrepo.Why.NOT_A_REPOSITORY:
        raise gitrepo.GitError(missing.detail, hint=missing.hint)
    return missing


def _is_trouble(missing: gitrepo.NoRepo, root: str) -> bool:
    """Say whether git is missed: there is a repository, but git does not tell what is in it."""
    if missing.why is gitrepo.Why.NO_GIT:
        place = root
        while not os.path.lexists(os.path.join(place, _GIT)):
            if place == (place := os.path.dirname(place)):
                return False
        return True
    return missing.why is not gitrepo.Why.NOT_A_REPOSITORY
