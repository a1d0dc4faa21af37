"""What an injection comes to: a new pod template, what was changed and why, or why it was not."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

Tree: TypeAlias = dict[str, Any]
"""A mapping as it comes from YAML or JSON."""

Loc: TypeAlias = tuple[str | int, ...]
"""Keys and list indexes that lead to something in the pod template."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a pod cannot be injected as asked.

    Attributes:
        code: What `devloop explain` knows it by.
        message: What is in the way.
        hint: How to mend it.
        at: Where in the template; empty where it is about the whole.
    """

    code: str
    message: str
    hint: str = ""
    at: Loc = ()


class Refused(Exception):
    """Carries a refusal up to the function that was called from outside; never leaves this package."""

    def __init__(self, code: str, message: str, hint: str = "", at: Loc = ()) -> None:
        super().__init__(message)
        self.refusal = Refusal(code, message, hint, at)


class Root(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sync's folders as the agent's command line names them; see `agent.roots.RootSpec`."""

    to: str
    data: str
    stage: str
    state: str
    keep: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """The end of an injection.

    Attributes:
        pod: The new pod template; the given one, unchanged, where there are refusals.
        notes: What was changed and why, a sentence each without a full stop.
        refusals: Why nothing was changed.
        roots: The agent's roots, in the order of the syncs.
        container: The app's container.
        claim: The PersistentVolumeClaim that must exist; empty where none is needed.
    """

    pod: Tree
    notes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    roots: tuple[Root, ...] = ()
    container: str = ""
    claim: str = ""
