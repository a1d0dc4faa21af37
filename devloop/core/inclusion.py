"""The `include:` patterns of a sync: what is shipped in spite of every ignore rule, and where to look for it.

A pattern that matches a folder stands for everything in it, and of all patterns that match a path or a folder
above it the last one decides; so `[dist/, "!*.map"]` ships `dist` without its source maps.

An ignored folder is only walked where an include pattern leads into it, because walking is what ignoring saves
(think of `node_modules`). A pattern leads into a folder if the folder's path matches the pattern's beginning,
segment by segment: `dist/js/**` leads into `dist` and `dist/js` and, from there on, everywhere. A pattern that may
begin anywhere leads into a folder only once some segment of its own has matched: `**/gen/*.py` leads into every
`gen` in a folder that is walked anyway, and no further. A pattern without a slash, such as `.env`, leads nowhere:
it holds in the folders that are walked anyway. Below an ignored folder that is not walked everything is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from devloop.core import lookup, rules, wildmatch


class _Lead(msgspec.Struct, frozen=True):
    """A pattern's segments, to be compared with those of a folder.

    Attributes:
        rank: The pattern's rank.
        anywhere: It began with `**/`, which is left out of the segments.
        segments: The matches of one segment each; None from where anything below may match.
    """

    rank: int
    anywhere: bool
    segments: tuple[wildmatch.Matches | None, ...]

    def into(self, folder: Sequence[str]) -> bool:
        """Say whether the pattern leads into a folder, given as its segments."""
        starts = range(len(folder)) if self.anywhere else range(1)
        return any(self._from(folder[start:]) for start in starts)

    def _from(self, folder: Sequence[str]) -> bool:
        for matches, name in zip(self.segments, folder, strict=False):
            if matches is None:
                return True
            if not matches(name):
                return False
        return True


class Inclusion:
    """The include patterns of one sync. Texts are those of `devloop.core.wildmatch`.

    Args:
        listed: The patterns' rules, in the order in which they were written.
        compiled: The same, ready for look-up.
        fold: The texts are folded.
    """

    def __init__(self, listed: Sequence[rules.Rule], compiled: Sequence[lookup.Compiled | None], *, fold: bool) -> None:
        self._rules = listed
        self._files = lookup.Lookup(
            None if rule.folders_only else one for rule, one in zip(listed, compiled, strict=True)
        )
        self._folders = lookup.Lookup(compiled)
        leads = (_lead(rank, rule, fold=fold) for rank, rule in enumerate(listed) if not rule.negated)
        self._leads = [lead for lead in leads if lead is not None]

    def rank(self, path: str, name: str, *, is_folder: bool) -> int:
        """Return the rank of the last pattern that matches the entry itself, or `lookup.NO_MATCH`.

        Args:
            path: Its text, below the folder that the rules' bases are relative to.
            name: Its last segment.
            is_folder: It is a folder.
        """
        return (self._folders if is_folder else self._files).rank(path, name)

    def rule(self, rank: int) -> rules.Rule | None:
        """Return the rule of this rank if it ships what it matches, else None."""
        if rank == lookup.NO_MATCH or self._rules[rank].negated:
            return None
        return self._rules[rank]

    def leads_into(self, folder: str, rank: int) -> bool:
        """Say whether a pattern above this rank leads into the ignored folder.

        Args:
            folder: The text of its path below the sync's root.
            rank: The last pattern that matches it or a folder above it; earlier ones cannot outrank that.
        """
        segments = folder.split("/")
        return any(lead.rank > rank and lead.into(segments) for lead in self._leads)


def _lead(rank: int, rule: rules.Rule, *, fold: bool) -> _Lead | None:
    pattern = rule.pattern
    if "/" not in pattern:
        return None
    segments = pattern.removeprefix("/").split("/")
    anywhere = segments[0] == "**"
    while segments and segments[0] == "**":
        del segments[0]
    if not segments:
        return None
    return _Lead(rank, anywhere, tuple(_segment(segment, fold=fold) for segment in segments))


def _segment(segment: str, *, fold: bool) -> wildmatch.Matches | None:
    """Return the match of one segment, or None where more than the one may match, or cannot be told."""
    if segment.startswith("**") and not segment.strip("*"):
        return None
    expression = wildmatch.compile_name(segment, fold=fold)
    # a segment that is broken on its own was cut out of a class that holds a slash
    return None if expression is None else expression.fullmatch
