"""Is this path ignored? The rules of `devloop.core.rules` and git's index, answered for any path of one sync.

The laptop side's matcher grows while `devloop.fs.ignore` reads the disk (`put`, `add_repo`, `set_index`); the
pod side's is made whole from the `RuleSet` that came with the session. Both answer from the top down: what is
known of a folder is kept, so that an entry costs one look-up in the rules that hold in its folder.

Precedence and git's rule about ignored folders are told in `devloop.core.rules`. Nothing here does I/O.
"""

from __future__ import annotations

from typing import Final

import msgspec

from devloop.core import inclusion, lookup, paths, rules, wildmatch

FOLDERS_KEPT: Final = 50_000
"""How many folders' states are kept; beyond it all are forgotten and made again as they are asked for."""


class Index(msgspec.Struct, frozen=True):
    """What git's index lists, relative to the sync's root.

    Attributes:
        paths: Files and links.
        submodules: Folders that are submodules.
    """

    paths: frozenset[str] = frozenset()
    submodules: frozenset[str] = frozenset()


class _Decision(msgspec.Struct, frozen=True):
    """A verdict, and whether git's index may overrule it."""

    verdict: rules.Verdict
    ignored: bool
    final: bool


_UNDECIDED: Final = _Decision(rules.Verdict(ignored=False), ignored=False, final=False)
_RESERVED: Final = {
    name: _Decision(
        rules.Verdict(ignored=True, rule=rules.Rule(name.encode(), b"", False, False, "built-in", 0)),
        ignored=True,
        final=True,
    )
    for name in paths.RESERVED
}


class _Table:
    """The rules that hold in a folder: one look-up for the files in it, one for the folders."""

    __slots__ = ("decisions", "files", "folders")

    def __init__(self, compiled: list[tuple[rules.Rule, rules.Layer, lookup.Compiled | None]]) -> None:
        self.files = lookup.Lookup(None if rule.folders_only else one for rule, _, one in compiled)
        self.folders = lookup.Lookup(None if layer is rules.Layer.BUILT_IN else one for _, layer, one in compiled)
        self.decisions = [_decision(rule, layer) for rule, layer, _ in compiled]


def _decision(rule: rules.Rule, layer: rules.Layer) -> _Decision:
    ignored = not rule.negated
    return _Decision(rules.Verdict(ignored, rule), ignored, final=not layer.yields_to_index)


class _Indexed:
    """An index in the form that is asked for: every tracked path, and every folder that holds one."""

    __slots__ = ("folders", "paths")

    def __init__(self, index: Index) -> None:
        self.paths = index.paths | index.submodules
        self.folders: set[str] = set()
        for path in self.paths:
            for folder in paths.ancestors(path):
                if folder in self.folders:
                    break
                self.folders.add(folder)


_NO_INDEX: Final = _Indexed(Index())


class _State(msgspec.Struct, frozen=True):
    """What is known of a folder.

    Attributes:
        table: The rules that hold for what is in it.
        ignored: The decision that ignores it, for itself or for a folder above it, if no include ships it.
        shipped_by: The rank of the last include rule that matches it or a folder above it.
        repo: The nearest repository of its own at or above it; the root's is the empty string.
        indexed: That repository's index.
        walked: See `Matcher.may_descend`.
    """

    table: _Table
    ignored: _Decision | None
    shipped_by: int
    repo: str
    indexed: _Indexed
    walked: bool


class Matcher:
    """Answers for one sync. Not safe for use from several threads.

    Args:
        rule_set: The rules to begin with.
    """

    def __init__(self, rule_set: rules.RuleSet) -> None:
        self._groups = {(group.layer, group.base): group for group in rule_set.groups}
        self._prefix = rule_set.prefix
        self._repos = {_path(repo) for repo in rule_set.repos}
        self._fold = rule_set.ignorecase
        self._globstar_after_prefix = rule_set.globstar_after_prefix
        self._prefix_text = wildmatch.text(_path(self._prefix) + "/", fold=self._fold) if self._prefix else ""
        self._indexes: dict[str, _Indexed] = {}
        self._compiled: dict[rules.Rule, lookup.Compiled | None] = {}
        self._tables: dict[str, _Table] = {}
        self._states: dict[str, _State] = {}
        # the folders with a state, by the folder that they lie in
        self._inside: dict[str, list[str]] = {}
        self._inclusion = self._make_inclusion()

    def verdict(self, path: str, is_folder: bool) -> rules.Verdict:
        """Return what the rules, the index and the folders above a path say about it.

        Args:
            path: Any path below the root; it need not exist.
            is_folder: It is a folder; a link to one is not.
        """
        folder, _, name = path.rpartition("/")
        above = self._states.get(folder) or self._state(folder)
        return self._decide(above, path, name, is_folder).verdict

    def entry(self, path: str, is_folder: bool) -> rules.Verdict:
        """Return what the rules alone say about an entry, as if nothing above it were ignored or tracked.

        Args:
            path: Any path below the root.
            is_folder: It is a folder.
        """
        folder, _, name = path.rpartition("/")
        above = self._states.get(folder) or self._state(folder)
        return self._by_rules(above.table, *self._texts(path, name), is_folder).verdict

    def may_descend(self, folder: str) -> bool:
        """Say whether a folder is walked: it is not ignored, or holds tracked paths, or includes lead into it.

        An ignored folder that is walked becomes an entry only if something in it is one.

        Args:
            folder: A path below the root, or the root.
        """
        return self._state(folder).walked

    def yields_to_index(self, path: str) -> bool:
        """Say whether the index alone decides about a path: a rule that yields to it covers the path."""
        above = self._state(paths.parent(path))
        if above.ignored is not None:
            return not above.ignored.final
        decision = self._by_rules(above.table, *self._texts(path, paths.name(path)), False)
        return decision.ignored and not decision.final

    def without_index(self, path: str, is_folder: bool) -> rules.Rule | None:
        """Return the rule that would ignore a path if git did not track it, or None."""
        above = self._state(paths.parent(path))
        decision = above.ignored or self._by_rules(above.table, *self._texts(path, paths.name(path)), is_folder)
        return decision.verdict.rule if decision.ignored else None

    def is_tracked(self, path: str) -> bool:
        """Say whether the index of the repository that a path lies in lists it."""
        return path in self._state(paths.parent(path)).indexed.paths

    def put(self, layer: rules.Layer, base: bytes, listed: tuple[rules.Rule, ...]) -> bool:
        """Replace the rules of one layer and base; an empty tuple removes them.

        Returns:
            Whether anything changed.
        """
        old = self._groups.get((layer, base))
        if (old.rules if old else ()) == listed:
            return False
        if listed:
            self._groups[layer, base] = rules.Group(layer, base, listed)
        else:
            del self._groups[layer, base]
        if layer is rules.Layer.INCLUDE:
            self._inclusion = self._make_inclusion()
        self._forget(self._below_root(base))
        return True

    def add_repo(self, folder: str) -> None:
        """Make a folder below the root a repository of its own."""
        self._repos.add(folder)
        self._forget(folder)

    def drop_repo(self, folder: str) -> None:
        """Make the folder, with whatever git said about it, an ordinary one again."""
        self._repos.discard(folder)
        self._indexes.pop(folder, None)
        self._forget(folder)

    def set_index(self, repo: str, index: Index) -> None:
        """Replace the index of a repository.

        Args:
            repo: Its folder; the empty string for the one that the root lies in.
            index: Relative to the sync's root.
        """
        self._indexes[repo] = _Indexed(index)
        self._conclude_anew()

    def rule_set(self) -> rules.RuleSet:
        """Return every rule that is known now."""
        return rules.RuleSet(
            groups=rules.ordered(self._groups.values()),
            prefix=self._prefix,
            repos=tuple(sorted(paths.to_wire(repo) for repo in self._repos)),
            ignorecase=self._fold,
            globstar_after_prefix=self._globstar_after_prefix,
        )

    def _decide(self, above: _State, path: str, name: str, is_folder: bool) -> _Decision:
        """Return what becomes of an entry of the folder `above`, includes and all."""
        if above.ignored is not None and not above.walked:
            return above.ignored
        if name in _RESERVED:
            return _RESERVED[name]
        full, last = self._texts(path, name)
        if self._inclusion is not None:
            rank = max(above.shipped_by, self._inclusion.rank(full, last, is_folder=is_folder))
            rule = self._inclusion.rule(rank)
            if rule is not None:
                return _Decision(rules.Verdict(ignored=False, rule=rule), ignored=False, final=True)
        return self._without_includes(above, path, self._by_rules(above.table, full, last, is_folder))

    def _without_includes(self, above: _State, path: str, own: _Decision) -> _Decision:
        """Return what becomes of an entry that its own rules decide about like this."""
        outer = above.ignored
        if outer is None:
            overruled = own.ignored and not own.final and path in above.indexed.paths
            return _UNDECIDED if overruled else own
        if outer.final:
            return outer
        if own.ignored and own.final:
            return own
        return _UNDECIDED if path in above.indexed.paths else outer

    def _by_rules(self, table: _Table, full: str, last: str, is_folder: bool) -> _Decision:
        rank = (table.folders if is_folder else table.files).rank(full, last)
        return _UNDECIDED if rank == lookup.NO_MATCH else table.decisions[rank]

    def _texts(self, path: str, name: str) -> tuple[str, str]:
        """Return the texts of a path, from where the rules' bases start, and of its name."""
        if self._fold or not path.isascii():
            path = wildmatch.text(path, fold=self._fold)
            name = paths.name(path)
        return self._prefix_text + path, name

    def _state(self, folder: str) -> _State:
        state = self._states.get(folder)
        if state is None:
            if len(self._states) >= FOLDERS_KEPT:
                self._conclude_anew()
            state = self._make_state(folder) if folder else self._make_root()
            self._states[folder] = state
            if folder:
                self._inside.setdefault(paths.parent(folder), []).append(folder)
        return state

    def _make_root(self) -> _State:
        indexed = self._indexes.get("", _NO_INDEX)
        return _State(self._table("", ""), None, lookup.NO_MATCH, "", indexed, walked=True)

    def _make_state(self, folder: str) -> _State:
        above_path, _, name = folder.rpartition("/")
        above = self._state(above_path)
        if not above.walked:
            # everything in it is ignored by what ignores it
            return above
        full, last = self._texts(folder, name)
        reserved = _RESERVED.get(name)
        decision = reserved or self._without_includes(above, folder, self._by_rules(above.table, full, last, True))
        ignored = decision if decision.ignored else None
        shipped_by = above.shipped_by
        if self._inclusion is not None:
            shipped_by = max(shipped_by, self._inclusion.rank(full, last, is_folder=True))
        walked = ignored is None or self._is_led_into(folder, ignored, above, shipped_by)
        repo, indexed, table = above.repo, above.indexed, above.table
        if folder in self._repos:
            repo, indexed = folder, self._indexes.get(folder, _NO_INDEX)
        if repo == folder or self._has_own(folder):
            table = self._table(folder, repo)
        return _State(table, ignored, shipped_by, repo, indexed, walked and reserved is None)

    def _is_led_into(self, folder: str, ignored: _Decision, above: _State, shipped_by: int) -> bool:
        """Say whether an ignored folder may hold something that is shipped all the same."""
        if folder in above.indexed.folders and not ignored.final:
            return True
        if self._inclusion is None:
            return False
        if self._inclusion.rule(shipped_by) is not None:
            return True
        return self._inclusion.leads_into(wildmatch.text(folder, fold=self._fold), shipped_by)

    def _has_own(self, folder: str) -> bool:
        base = self._base(folder)
        return any((layer, base) in self._groups for layer in _NESTING)

    def _table(self, folder: str, repo: str) -> _Table:
        """Return the rules that hold in a folder, which has some of its own or is a repository or the root."""
        table = self._tables.get(folder)
        if table is None:
            base = self._base(folder)
            top = self._base(repo) if repo else b""
            groups = (group for group in self._groups.values() if _holds(group, base, top))
            listed = [(rule, group.layer) for group in rules.ordered(groups) for rule in group.rules]
            table = _Table([(rule, layer, self._compile(rule)) for rule, layer in listed])
            self._tables[folder] = table
        return table

    def _compile(self, rule: rules.Rule) -> lookup.Compiled | None:
        if rule not in self._compiled:
            quirk = self._globstar_after_prefix
            self._compiled[rule] = lookup.compile_rule(rule, fold=self._fold, globstar_after_prefix=quirk)
        return self._compiled[rule]

    def _make_inclusion(self) -> inclusion.Inclusion | None:
        group = self._groups.get((rules.Layer.INCLUDE, self._prefix))
        if group is None:
            return None
        return inclusion.Inclusion(group.rules, [self._compile(rule) for rule in group.rules], fold=self._fold)

    def _base(self, folder: str) -> bytes:
        """Return a folder's path from where the rules' bases start."""
        raw = paths.to_wire(folder)
        return self._prefix + b"/" + raw if self._prefix and raw else self._prefix or raw

    def _below_root(self, base: bytes) -> str:
        """Return a base as a path below the root; the root for those at or above it."""
        if self._prefix:
            base = base[len(self._prefix) + 1 :] if base.startswith(self._prefix + b"/") else b""
        return _path(base)

    def _conclude_anew(self) -> None:
        self._states.clear()
        self._tables.clear()
        self._inside.clear()

    def _forget(self, folder: str) -> None:
        """Forget what was concluded about a folder and everything in it."""
        # a folder's state is made before its table and before those of the folders in it, so each is found from above
        if folder not in self._states:
            return
        if folder:
            self._inside[paths.parent(folder)].remove(folder)
        outdated = [folder]
        while outdated:
            known = outdated.pop()
            del self._states[known]
            self._tables.pop(known, None)
            outdated.extend(self._inside.pop(known, ()))


_NESTING: Final = (rules.Layer.GITIGNORE, rules.Layer.DEVLOOPIGNORE)


def _holds(group: rules.Group, base: bytes, top: bytes) -> bool:
    """Say whether a group's rules hold in a folder, of which the repository's top level is `top`."""
    if group.layer is rules.Layer.INCLUDE:
        return False
    if not _is_at_or_under(base, group.base):
        return False
    return not group.layer.is_git or _is_at_or_under(group.base, top)


def _is_at_or_under(base: bytes, above: bytes) -> bool:
    return not above or base == above or base.startswith(above + b"/")


def _path(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
