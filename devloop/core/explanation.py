"""Why a path is ignored or not, for `devloop ignored` and every other place that tells people.

`devloop.fs.ignore` makes these; the command line prints them.
"""

from __future__ import annotations

import msgspec

from devloop.core import rules


class Explanation(msgspec.Struct, frozen=True):
    """Why a path is ignored or not.

    Attributes:
        path: As it was asked.
        ignored: Whether it is.
        rule: The rule that decided; None where none matched, or where git's index decided.
        folder: The outermost folder above the path that this rule ignores; empty where it is the path itself.
        tracked: git's index lists it.
        overruled: The rule that would ignore it if git did not track it.
    """

    path: str
    ignored: bool
    rule: rules.Rule | None = None
    folder: str = ""
    tracked: bool = False
    overruled: rules.Rule | None = None

    def reason(self) -> str:
        """Return the reason as a line for people."""
        if self.overruled is not None:
            return f"not ignored: git tracks it, in spite of {_quote(self.overruled)}"
        if self.rule is None:
            return "not ignored: no rule matches"
        if not self.ignored:
            return f"not ignored: {_quote(self.rule)}"
        return f"ignored: {_quote(self.rule)}" + (f" (the folder {self.folder})" if self.folder else "")


def _quote(rule: rules.Rule) -> str:
    return f"{rule.location()}: {rule.shown()}"
