"""`$(VAR)` in a container's variables, by the kubelet's rules (kubernetes: third_party/forked/golang/expansion).

`$$` is a dollar sign, `$(NAME)` another variable if it is known and stays as it is written if not, and every other
dollar sign is one. What is put in is not looked at again. Pure.
"""

from __future__ import annotations

from collections.abc import Callable


def expand(text: str, lookup: Callable[[str], str | None]) -> str:
    """Return a value with its references replaced.

    Args:
        text: As the manifest has it.
        lookup: Returns a variable's value; None where there is none.
    """
    parts: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        if text.startswith("$$", dollar):
            parts.append("$")
            at = dollar + 2
        elif text.startswith("$(", dollar) and (end := text.find(")", dollar)) >= 0:
            found = lookup(text[dollar + 2 : end])
            parts.append(text[dollar : end + 1] if found is None else found)
            at = end + 1
        elif text.startswith("$(", dollar):
            # A reference that is not ended: these two characters are meant, and what follows is looked at.
            parts.append("$(")
            at = dollar + 2
        else:
            # The dollar sign and the character after it, which cannot begin anything.
            parts.append(text[dollar : dollar + 2])
            at = dollar + 2
    return "".join([*parts, text[at:]])


def references(text: str) -> set[str]:
    """Return the names that a value refers to."""
    found: set[str] = set()

    def note(name: str) -> None:
        found.add(name)

    expand(text, note)
    return found
