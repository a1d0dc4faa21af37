"""Which lines are wanted: `--grep` and `--exclude`.

Pure. The expressions are looked for in a line's text as it was printed, without its stamp.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from devloop import errors


class Chosen(msgspec.Struct, frozen=True):
    """What is looked for.

    Attributes:
        grep: One of these must be found, where there are any.
        exclude: None of these may be.
    """

    grep: tuple[re.Pattern[str], ...] = ()
    exclude: tuple[re.Pattern[str], ...] = ()

    @property
    def is_all(self) -> bool:
        """Every line is wanted."""
        return not self.grep and not self.exclude

    def wants(self, text: str) -> bool:
        """Say whether a line is wanted."""
        if self.grep and not any(each.search(text) for each in self.grep):
            return False
        return not any(each.search(text) for each in self.exclude)


def parse(grep: Sequence[str], exclude: Sequence[str]) -> Chosen:
    """Return what some regular expressions of Python's `re` choose.

    Raises:
        UsageError: One of them is none; the message says where it is wrong.
    """
    return Chosen(
        tuple(_compiled("--grep", each) for each in grep), tuple(_compiled("--exclude", each) for each in exclude)
    )


def _compiled(flag: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        place = f" at position {error.pos}" if isinstance(error, re.error) and error.pos is not None else ""
        words = error.msg if isinstance(error, re.error) else "too complicated"
        raise errors.UsageError(
            f"{flag} {text!r} is no regular expression: {words}{place}",
            hint=r"a literal ( [ * + ? . needs a backslash before it",
        ) from None
