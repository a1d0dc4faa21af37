"""Which `on_change` commands a batch calls for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from devloop.config import model
from devloop.core import ops, patterns
from devloop.protocol import messages


class LaptopHook(msgspec.Struct, frozen=True):
    """A command that runs on the laptop.

    Attributes:
        name: For people.
        argv: The command.
        cwd: The folder it runs in, absolute.
        timeout_s: After this it is ended.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    timeout_s: float


class Chooser:
    """The `on_change` rules of one service.

    Args:
        spec: The service.
    """

    def __init__(self, spec: model.Service) -> None:
        self._spec = spec
        self._rules = [(rule, patterns.Patterns(rule.paths)) for rule in spec.on_change]

    def pod(self, changes: Sequence[ops.Op]) -> tuple[messages.HookSpec, ...]:
        """Return the commands for the pod side, in the order of the configuration."""
        return tuple(
            messages.HookSpec(_name(rule), rule.run, self._spec.sync[root].to, rule.timeout_s)
            for rule, root in self._matching(changes, model.Where.POD)
        )

    def laptop(self, changes: Sequence[ops.Op]) -> tuple[LaptopHook, ...]:
        """Return the commands for the laptop side, in the order of the configuration."""
        return tuple(
            LaptopHook(_name(rule), rule.run, self._spec.sync[root].source, rule.timeout_s)
            for rule, root in self._matching(changes, model.Where.LAPTOP)
        )

    def calls(self, op: ops.Op) -> bool:
        """Say whether an op calls for any command, on either side."""
        return _is_change(op) and any(wanted.match(op.path) for _, wanted in self._rules)

    def _matching(self, changes: Sequence[ops.Op], where: model.Where) -> list[tuple[model.OnChange, int]]:
        found: list[tuple[model.OnChange, int]] = []
        for rule, wanted in self._rules:
            if rule.where is not where:
                continue
            root = next((op.root for op in changes if _is_change(op) and wanted.match(op.path)), None)
            if root is not None:
                found.append((rule, root))
        return found


def _is_change(op: ops.Op) -> bool:
    return op.action in {ops.Action.PUT, ops.Action.DELETE}


def _name(rule: model.OnChange) -> str:
    return rule.name or " ".join(rule.run)[:40]
