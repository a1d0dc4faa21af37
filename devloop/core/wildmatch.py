"""One pattern of an ignore file as a regular expression that accepts what git's `wildmatch` accepts.

Patterns come from `devloop.core.rules`; the expressions go to `devloop.core.matcher`. Nothing here knows about
files, folders or precedence.

git matches bytes: `?` and classes take one byte, not one character. So patterns and paths are matched as *texts*:
a `str` whose every character is one byte (latin-1). `text` makes one of a path; for an ASCII path that is the
path itself. With `core.ignorecase` both sides are folded by ASCII only, as git does it.

The expressions run in polynomial time on any path: what lies between two stars is matched at its leftmost place
and not tried again (atomic groups), which is all a glob needs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Final, Protocol

SPECIAL: Final = frozenset("*?[\\")
"""The characters that make a pattern more than a plain string (git: is_glob_special)."""

_STAR: Final = "[^/]*"
_SLASH: Final = "/"
_GLOBSTAR: Final = "**"
_GLOBSTAR_SLASH: Final = "**/"

_ALPHA: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER: Final = frozenset(byte for byte in _ALPHA if byte >= 0x61)
_DIGIT: Final = frozenset(b"0123456789")
# git's own ctype, not the C library's: only these four count as space.
_SPACE: Final = frozenset(b" \t\n\r")
_PRINT: Final = frozenset(range(0x20, 0x7F))
CLASSES: Final = {
    "alnum": _ALPHA | _DIGIT,
    "alpha": _ALPHA,
    "blank": frozenset(b" \t"),
    "cntrl": frozenset(range(0x20)) | {0x7F},
    "digit": _DIGIT,
    "graph": _PRINT - _SPACE,
    "lower": _LOWER,
    "print": _PRINT,
    "punct": _PRINT - _ALPHA - _DIGIT - _SPACE,
    "space": _SPACE,
    "upper": _ALPHA - _LOWER,
    "xdigit": frozenset(b"0123456789abcdefABCDEF"),
}


class Matches(Protocol):
    """How a compiled pattern is asked: `re.Pattern.fullmatch`."""

    def __call__(self, text: str, /) -> object:
        """Return something true if the text matches."""


class _NeverError(ValueError):
    """The pattern can match nothing: a class without its end, a backslash at the end."""


def text(path: str, *, fold: bool) -> str:
    """Return the text of a path: one character for each of its bytes.

    Args:
        path: A path, with surrogate escapes for bytes that are not UTF-8.
        fold: Case does not count: ASCII capitals become small letters.
    """
    if path.isascii():
        return path.lower() if fold else path
    raw = path.encode("utf-8", "surrogateescape")
    return (raw.lower() if fold else raw).decode("latin-1")


def plain_prefix(pattern: str) -> str:
    """Return the part of a pattern before its first special character."""
    for index, char in enumerate(pattern):
        if char in SPECIAL:
            return pattern[:index]
    return pattern


def compile_name(pattern: str, *, fold: bool) -> re.Pattern[str] | None:
    """Return the expression for a pattern without a slash, which is matched against an entry's name.

    Args:
        pattern: The pattern's text.
        fold: The names are folded.

    Returns:
        None where nothing can match.
    """
    return _compile("", pattern, fold=fold, slashes=False)


def compile_path(pattern: str, base: str, *, fold: bool, globstar_after_prefix: bool) -> re.Pattern[str] | None:
    """Return the expression for a pattern with a slash, which is matched against the whole path.

    Args:
        pattern: The pattern's text, without a slash in front.
        base: The text that every path must begin with, ending in a slash unless it is empty.
        fold: The paths and the base are folded.
        globstar_after_prefix: The way of git before 2.52: two stars right behind the pattern's plain beginning
            count as if they began a segment, so that `foo**/bar` matches `foobar`.

    Returns:
        None where nothing can match.
    """
    plain = plain_prefix(pattern) if globstar_after_prefix else ""
    return _compile(base + (_lower(plain) if fold else plain), pattern[len(plain) :], fold=fold, slashes=True)


def _compile(plain: str, pattern: str, *, fold: bool, slashes: bool) -> re.Pattern[str] | None:
    try:
        tokens = _tokens(pattern, fold=fold, slashes=slashes)
    except _NeverError:
        return None
    return re.compile(re.escape(plain) + _join(tokens), re.DOTALL)


def _tokens(pattern: str, *, fold: bool, slashes: bool) -> list[str]:
    """Return the pattern as stars, globstars, slashes, and expressions for one character each."""
    tokens: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            token, at = _stars(pattern, at, slashes=slashes)
            tokens.append(token)
            continue
        if char == "?":
            tokens.append("[^/]")
        elif char == "[":
            token, at = _class(pattern, at, fold=fold)
            tokens.append(token)
        elif char == "\\":
            at += 1
            tokens.append(_escaped(pattern[at : at + 1]))
        else:
            tokens.append(re.escape(_lower(char) if fold else char))
        at += 1
    return tokens


def _escaped(char: str) -> str:
    # git folds neither an escaped letter nor, in a class, a single one: a capital there never meets a folded path
    if not char:
        raise _NeverError
    return re.escape(char)


def _stars(pattern: str, start: int, *, slashes: bool) -> tuple[str, int]:
    """Return the token for the stars at `start`, and where the pattern goes on."""
    end = start
    while pattern[end : end + 1] == "*":
        end += 1
    bounded = start == 0 or pattern[start - 1] == "/"
    if not slashes or end - start < 2 or not bounded:
        return _STAR, end
    if pattern[end : end + 1] == "/":
        return _GLOBSTAR_SLASH, end + 1
    if end == len(pattern) or pattern[end : end + 2] == "\\/":
        return _GLOBSTAR, end
    return _STAR, end


def _class(pattern: str, start: int, *, fold: bool) -> tuple[str, int]:
    """Return the expression for the `[...]` at `start`, and where its closing bracket is."""
    at = start + 1
    negated = pattern[at : at + 1] in {"!", "^"}
    at += negated
    members: set[int] = set()
    previous = ""
    first = True
    while first or pattern[at : at + 1] != "]":
        first = False
        previous, at = _member(pattern, at, previous, members, fold=fold)
    if negated:
        members = set(range(256)) - members
    return _one_of(members - {ord("/")}), at


def _member(pattern: str, at: int, previous: str, members: set[int], *, fold: bool) -> tuple[str, int]:
    """Add what stands at `at` in a class to `members`; return the character a range may begin with, and the next."""
    char = _char(pattern, at)
    if char == "-" and previous and pattern[at + 1 : at + 2] not in {"", "]"}:
        at += 1
        last = _char(pattern, at)
        if last == "\\":
            at += 1
            last = _char(pattern, at)
        members.update(_range(ord(previous), ord(last), fold=fold))
        return "", at + 1
    if char == "[" and pattern[at + 1 : at + 2] == ":":
        close = pattern.find("]", at + 2)
        if close < 0:
            raise _NeverError
        name = pattern[at + 2 : close]
        if name.endswith(":"):
            members.update(_named(name[:-1], fold=fold))
            return "", close + 1
    if char == "\\":
        at += 1
        char = _char(pattern, at)
    members.add(ord(char))
    return char, at + 1


def _char(pattern: str, at: int) -> str:
    if at >= len(pattern):
        raise _NeverError
    return pattern[at]


def _range(low: int, high: int, *, fold: bool) -> Iterable[int]:
    members = set(range(low, high + 1))
    if fold:
        # the path's letters are small by now; a range of capitals is meant for them too
        members |= {byte for byte in _LOWER if low <= byte - 0x20 <= high}
    return members


def _named(name: str, *, fold: bool) -> Iterable[int]:
    members = CLASSES.get(name)
    if members is None:
        raise _NeverError
    return _ALPHA if fold and name == "upper" else members


def _one_of(members: set[int]) -> str:
    """Return an expression for one character of the set; for an empty set one that never matches."""
    return "[" + "".join(f"\\x{byte:02x}" for byte in sorted(members)) + "]" if members else "(?!)"


def _lower(plain: str) -> str:
    return plain.encode("latin-1").lower().decode("latin-1")


def _join(tokens: list[str]) -> str:
    """Return one expression for the tokens, in which no globstar but the last is ever tried twice."""
    cuts = [index for index, token in enumerate(tokens) if token in {_GLOBSTAR, _GLOBSTAR_SLASH}]
    if not cuts:
        return _chunk(tokens)
    out = [_chunk(tokens[: cuts[0]])]
    for here, following in itertools.pairwise(cuts):
        lead = ".*?" if tokens[here] == _GLOBSTAR else "(?:.*?/)??"
        out.append(f"(?>{lead}{_chunk(tokens[here + 1 : following])})")
    lead = ".*" if tokens[cuts[-1]] == _GLOBSTAR else "(?:.*/)?"
    out.append(lead + _chunk(tokens[cuts[-1] + 1 :]))
    return "".join(out)


def _chunk(tokens: list[str]) -> str:
    """Return one expression for tokens without a globstar, in which no star but a segment's last is tried twice."""
    out: list[str] = []
    last_star = -1
    for index, token in enumerate(tokens):
        if token == _SLASH:
            last_star = -1
        elif token == _STAR:
            if last_star >= 0:
                piece = "".join(tokens[last_star + 1 : index])
                del out[-(index - last_star) :]
                out.append(f"(?>[^/]*?{piece})")
                # the list keeps one item per token, so that the next cut finds its place
                out.extend([""] * (index - last_star - 1))
            last_star = index
        out.append(token)
    return "".join(out)
