"""Ignore rules as values: what a line of an ignore file says, and every rule of a sync in its order of precedence.

`devloop.fs.ignore` reads the files and makes the `RuleSet`; `devloop.core.matcher` answers with it, on the laptop
side and, from the same set sent with the session, on the pod side. Nothing here reads a disk.

Precedence, lowest first, is the order of `Layer`; within a layer the rules of an inner folder outrank those of an
outer one, and within a file a later line outranks an earlier one. The last rule that matches decides. An entry
below an ignored folder is ignored, and no rule for itself brings it back: that is git's rule. Two things bend it:

- git's index: a tracked path is never ignored by the layers up to `GITIGNORE`; the later ones do hide it.
- `INCLUDE`: it wins over all, below ignored folders too. Of a path and the folders above it the nearest one that
  an include pattern matches decides. `Matcher.may_descend` says which ignored folders are looked into for it.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

_BOM: Final = b"\xef\xbb\xbf"


class Layer(enum.IntEnum):
    """Where rules come from, lowest precedence first."""

    BUILT_IN = 1
    """Editors' temporary files; about files only, never folders."""
    GLOBAL = 2
    """The user's own `core.excludesFile`."""
    EXCLUDE = 3
    """The repository's `info/exclude`."""
    GITIGNORE = 4
    DEVLOOPIGNORE = 5
    CONFIG = 6
    """`ignore:` of the sync."""
    INCLUDE = 7
    """`include:` of the sync; here a match means that the entry is shipped."""

    @property
    def yields_to_index(self) -> bool:
        """Whether a path that git tracks is shipped in spite of a rule of this layer."""
        return self <= Layer.GITIGNORE

    @property
    def is_git(self) -> bool:
        """Whether the rules hold inside their own repository only."""
        return Layer.GLOBAL <= self <= Layer.GITIGNORE


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """One line of an ignore file.

    Attributes:
        text: The line as written, without the trailing spaces that do not count. Bytes, so that any name works.
        base: The folder of the file it came from, as `paths.to_wire` gives it, relative to the folder that
            `RuleSet.prefix` starts from (the repository's top level; outside of one, the sync's root).
        negated: It begins with `!`: what it matches is not ignored.
        folders_only: It ends with `/`.
        source: A label for people, such as `web/.gitignore`, `.git/info/exclude` or `devloop.yaml: ignore`.
        line: 1-based; 0 where there are no lines.
    """

    text: bytes
    base: bytes
    negated: bool
    folders_only: bool
    source: str
    line: int

    @property
    def pattern(self) -> str:
        """The line without its `!` and its last `/`, as a text of `devloop.core.wildmatch`."""
        text = self.text[1:] if self.negated else self.text
        return (text[:-1] if self.folders_only else text).decode("latin-1")

    @property
    def base_text(self) -> str:
        """The base as a text with a slash at its end, unless it is empty."""
        return self.base.decode("latin-1") + "/" if self.base else ""

    def shown(self) -> str:
        """Return the line for people; bytes that are not UTF-8 are written as escapes."""
        return self.text.decode("utf-8", "backslashreplace")

    def location(self) -> str:
        """Return `source:line` for people."""
        return f"{self.source}:{self.line}" if self.line else self.source


class Group(msgspec.Struct, frozen=True, array_like=True):
    """The rules of one file or list, in the order in which they were written.

    Attributes:
        layer: Its precedence.
        base: As `Rule.base`.
        rules: At least one.
    """

    layer: Layer
    base: bytes
    rules: tuple[Rule, ...]


class RuleSet(msgspec.Struct, frozen=True, array_like=True):
    """Every rule of one sync: what the agent is sent.

    Attributes:
        groups: Lowest precedence first, as `ordered` puts them.
        prefix: The sync's root relative to the folder that every `base` is relative to, as bytes.
        repos: Folders below the root, relative to it, as bytes, that are repositories of their own: the git layers
            from outside do not reach into them.
        ignorecase: git's `core.ignorecase`.
        globstar_after_prefix: The installed git is older than 2.52; see `wildmatch.compile_path`.
    """

    groups: tuple[Group, ...] = ()
    prefix: bytes = b""
    repos: tuple[bytes, ...] = ()
    ignorecase: bool = False
    globstar_after_prefix: bool = False

    @property
    def digest(self) -> bytes:
        """sha256 of the encoded set, 32 bytes. It is computed at every use."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).digest()


class Verdict(msgspec.Struct, frozen=True):
    """What the rules say about one path.

    Attributes:
        ignored: It is not shipped.
        rule: The rule that decided, for the path itself or for a folder above it; None where none matched, or
            where git's index did.
    """

    ignored: bool
    rule: Rule | None = None


def ordered(groups: Iterable[Group]) -> tuple[Group, ...]:
    """Return the groups lowest precedence first; equal sets of groups give equal tuples."""
    return tuple(sorted(groups, key=lambda group: (group.layer, group.base.count(b"/") + bool(group.base), group.base)))


def parse(content: bytes, base: bytes, source: str) -> tuple[Rule, ...]:
    """Return the rules of an ignore file, exactly as git reads it.

    Lines end with LF or CRLF; a byte order mark at the start, empty lines and lines that begin with `#` say
    nothing; a NUL ends its line's pattern; trailing spaces do not count unless a backslash is before them.

    Args:
        content: The whole file.
        base: See `Rule.base`.
        source: See `Rule.source`.
    """
    content = content.removeprefix(_BOM)
    lines = content.split(b"\n")
    return _rules((line.removesuffix(b"\r") for line in lines), base, source)


def parse_lines(lines: Iterable[str], base: bytes, source: str) -> tuple[Rule, ...]:
    """Return the rules of a list of patterns, each in the syntax of one line of an ignore file.

    Args:
        lines: The patterns; their position, from 1, becomes the rule's line.
        base: See `Rule.base`.
        source: See `Rule.source`.
    """
    return _rules((line.encode("utf-8", "surrogateescape") for line in lines), base, source)


def _rules(lines: Iterable[bytes], base: bytes, source: str) -> tuple[Rule, ...]:
    found = (_rule(line, base, source, number) for number, line in enumerate(lines, 1))
    return tuple(rule for rule in found if rule is not None)


def _rule(line: bytes, base: bytes, source: str, number: int) -> Rule | None:
    """Return the rule of one line, or None where it can match nothing."""
    if line.startswith(b"#"):
        return None
    text = _without_trailing_spaces(line.partition(b"\0")[0])
    negated = text.startswith(b"!")
    folders_only = text.endswith(b"/") and len(text) > negated
    if len(text) - negated - folders_only <= 0:
        return None
    return Rule(text, base, negated, folders_only, source, number)


def _without_trailing_spaces(line: bytes) -> bytes:
    r"""Return the line up to its trailing spaces; a space behind a backslash stays.

    As git's trim_trailing_spaces: a line that ends in a lone backslash is left alone.
    """
    if not line.endswith(b" "):
        return line
    kept = line.rstrip(b" ")
    backslashes = len(kept) - len(kept.rstrip(b"\\"))
    # an odd one escapes the first of the spaces
    return line[: len(kept) + 1] if backslashes % 2 else kept


BUILT_IN: Final = parse_lines(
    (
        # vim: the probe for a writable folder, swap files and backups (`:help swap-file`, `:help backup`)
        "4913",
        "*.sw[nopx]",
        "*~",
        # emacs: lock links and auto-save files
        ".#*",
        r"\#*#",
        # JetBrains: safe write
        "*___jb_tmp___",
        "*___jb_old___",
        # kate: swap file
        ".*.kate-swp",
        # GLib, and so gedit: the file that is renamed over the old one
        ".goutputstream-*",
        # gofmt and goimports, which look at the umask with a file of this name
        "*-go-tmp-umask",
        # macOS Finder
        ".DS_Store",
    ),
    b"",
    "built-in",
)
"""Editors' temporary files: they are gone, or renamed over the real file, a moment later. VS Code makes none."""
