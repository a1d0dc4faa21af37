"""Lists of patterns in the configuration: `when`, `paths`, `pull`. The same syntax as a line of `.gitignore`.

A list matches a path if its last pattern that matches the path, or a folder above it, does not begin with `!`.
"""

from __future__ import annotations

from collections.abc import Iterable

from devloop.core import matcher, rules


class Patterns:
    """A list of patterns, compiled.

    Args:
        lines: The patterns.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        listed = rules.parse_lines(lines, b"", "pattern")
        self._is_empty = not listed
        groups = () if self._is_empty else (rules.Group(rules.Layer.CONFIG, b"", listed),)
        self._matcher = matcher.Matcher(rules.RuleSet(groups))

    def match(self, path: str) -> bool:
        """Say whether a file's path matches.

        Args:
            path: Relative, as `devloop.core.paths` has it.
        """
        return not self._is_empty and self._matcher.verdict(path, False).ignored
