"""Which of many rules is the last to match an entry, in about a microsecond.

`devloop.core.matcher` makes one `Lookup` per set of rules that hold in a folder. Most rules of real ignore files
are a plain name, `*` and an ending, or a plain path: those are found by hashing or by the entry's last letter.
Only the rest run as regular expressions, picked by the entry's first letter where the pattern tells it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from devloop.core import rules, wildmatch

NO_MATCH: Final = -1


class Form(enum.Enum):
    """How a rule's pattern is looked up."""

    NAME = enum.auto()
    """The entry's name is the key."""
    ENDING = enum.auto()
    """The entry's name ends with the key."""
    NAME_LIKE = enum.auto()
    """The entry's name matches the expression; it begins with the key."""
    PATH = enum.auto()
    """The entry's path is the key."""
    PATH_LIKE = enum.auto()
    """The entry's path matches the expression; it begins with the key."""


class Compiled(msgspec.Struct, frozen=True):
    """A rule's pattern, ready for look-up.

    Attributes:
        form: What the other two mean.
        key: A text of `devloop.core.wildmatch`.
        expression: Only for the two forms that need one.
    """

    form: Form
    key: str
    expression: re.Pattern[str] | None = None


def compile_rule(rule: rules.Rule, *, fold: bool, globstar_after_prefix: bool) -> Compiled | None:
    """Return the rule's pattern ready for look-up, or None where it can match nothing.

    Args:
        rule: Any rule.
        fold: The texts that are looked up are folded.
        globstar_after_prefix: See `wildmatch.compile_path`.
    """
    pattern = rule.pattern
    if "/" not in pattern:
        return _compile_name(pattern, fold=fold)
    pattern = pattern.removeprefix("/")
    base = _folded(rule.base_text, fold=fold)
    # `**/name` says what `name` says, and is common; with a wildcard other than a first star the two can differ
    if pattern.startswith("**/") and "/" not in pattern[3:]:
        simple = _compile_name(pattern[3:], fold=fold) if pattern[3:] else None
        if simple is not None and simple.expression is None:
            return simple
    plain = wildmatch.plain_prefix(pattern)
    key = base + _folded(plain, fold=fold)
    if plain == pattern:
        return Compiled(Form.PATH, key)
    expression = wildmatch.compile_path(pattern, base, fold=fold, globstar_after_prefix=globstar_after_prefix)
    return None if expression is None else Compiled(Form.PATH_LIKE, key, expression)


def _compile_name(pattern: str, *, fold: bool) -> Compiled | None:
    plain = wildmatch.plain_prefix(pattern)
    if plain == pattern:
        return Compiled(Form.NAME, _folded(pattern, fold=fold))
    if pattern[0] == "*" and wildmatch.plain_prefix(pattern[1:]) == pattern[1:]:
        return Compiled(Form.ENDING, _folded(pattern[1:], fold=fold))
    expression = wildmatch.compile_name(pattern, fold=fold)
    return None if expression is None else Compiled(Form.NAME_LIKE, _folded(plain, fold=fold), expression)


def _folded(text: str, *, fold: bool) -> str:
    return text.encode("latin-1").lower().decode("latin-1") if fold else text


class Lookup:
    """The rules that hold for files, or for folders, in one place.

    Args:
        compiled: Lowest precedence first; None for a rule that matches nothing here. A rule's position is its rank.
    """

    __slots__ = ("_any_like", "_endings", "_every", "_like", "_names", "_path_like", "_paths")

    def __init__(self, compiled: Iterable[Compiled | None]) -> None:
        self._every = NO_MATCH
        self._names: dict[str, int] = {}
        self._paths: dict[str, int] = {}
        endings: dict[str, list[tuple[int, str]]] = {}
        like: dict[str, list[tuple[int, re.Pattern[str]]]] = {}
        path_like: list[tuple[int, str, re.Pattern[str]]] = []
        for rank, one in enumerate(compiled):
            match one:
                case Compiled(form=Form.NAME):
                    self._names[one.key] = rank
                case Compiled(form=Form.PATH):
                    self._paths[one.key] = rank
                case Compiled(form=Form.ENDING, key=""):
                    self._every = rank
                case Compiled(form=Form.ENDING):
                    endings.setdefault(one.key[-1], []).append((rank, one.key))
                case Compiled(form=Form.NAME_LIKE, expression=re.Pattern() as expression):
                    like.setdefault(one.key[:1], []).append((rank, expression))
                case Compiled(form=Form.PATH_LIKE, expression=re.Pattern() as expression):
                    path_like.append((rank, one.key, expression))
                case _:
                    pass
        self._endings = {last: found[::-1] for last, found in endings.items()}
        self._path_like = path_like[::-1]
        # a first letter's list holds those that any letter may begin, too, so that one look-up is enough
        anywhere = like.pop("", [])
        self._any_like = anywhere[::-1]
        self._like = {first: sorted(found + anywhere, key=_rank, reverse=True) for first, found in like.items()}

    def rank(self, path: str, name: str) -> int:
        """Return the highest rank among the rules that match, or `NO_MATCH`.

        Args:
            path: The entry's path below the folder that the rules' bases are relative to, as a text.
            name: Its last segment, as a text.
        """
        best = self._names.get(name, NO_MATCH)
        if best < self._every:
            best = self._every
        for rank, ending in self._endings.get(name[-1], ()):
            if rank <= best:
                break
            if name.endswith(ending):
                best = rank
                break
        for rank, expression in self._like.get(name[0], self._any_like):
            if rank <= best:
                break
            if expression.fullmatch(name):
                best = rank
                break
        found = self._paths.get(path, NO_MATCH)
        if found > best:
            best = found
        for rank, start, expression in self._path_like:
            if rank <= best:
                break
            if path.startswith(start) and expression.fullmatch(path):
                best = rank
                break
        return best


def _rank(ranked: tuple[int, re.Pattern[str]]) -> int:
    return ranked[0]
