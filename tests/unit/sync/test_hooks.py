"""Which commands a batch calls for, on which side, and where they run."""

from __future__ import annotations

from typing import Any

from devloop.config import model
from devloop.core import entry, ops
from devloop.protocol import messages
from devloop.sync import hooks


def chooser(*rules: dict[str, Any]) -> hooks.Chooser:
    spec = model.Service.model_validate(
        {
            "target": {"local": "/target"},
            "sync": [{"from": "/laptop/web", "to": "/app"}, {"from": "/laptop/lib", "to": "/shared"}],
            "on_change": list(rules),
        }
    )
    return hooks.Chooser(spec)


FILE = entry.file(bytes(32), 1)
INSTALL = {"paths": ["requirements.txt"], "run": ["pip", "install"], "in": "pod", "timeout": "20s"}
GENERATE = {"paths": ["*.proto"], "run": ["make", "proto"], "in": "laptop", "name": "protos"}


def test_a_change_of_a_named_path_calls_for_its_command() -> None:
    (found,) = chooser(INSTALL).pod([ops.put(1, "requirements.txt", FILE)])
    assert found == messages.HookSpec("pip install", ("pip", "install"), "/shared", 20.0)


def test_a_deletion_is_a_change_and_an_adoption_is_none() -> None:
    assert chooser(INSTALL).pod([ops.delete(0, "requirements.txt")])
    assert not chooser(INSTALL).pod([ops.adopt(0, "requirements.txt", FILE)])


def test_other_paths_and_the_other_side_call_for_nothing() -> None:
    both = chooser(INSTALL, GENERATE)
    assert both.pod([ops.put(0, "api.proto", FILE), ops.put(0, "app.py", FILE)]) == ()
    assert both.laptop([ops.put(0, "requirements.txt", FILE)]) == ()
    (found,) = both.laptop([ops.put(1, "deep/api.proto", FILE)])
    assert (found.name, found.argv, found.cwd) == ("protos", ("make", "proto"), "/laptop/lib")


def test_commands_come_in_the_order_of_the_configuration_and_each_once() -> None:
    first = {"paths": ["b"], "run": ["first"]}
    second = {"paths": ["a", "c"], "run": ["second"]}
    found = chooser(first, second).pod([ops.put(0, "a", FILE), ops.put(0, "c", FILE), ops.put(1, "b", FILE)])
    assert [hook.argv for hook in found] == [("first",), ("second",)]


def test_a_long_command_is_a_short_name() -> None:
    (found,) = chooser({"paths": ["a"], "run": ["x" * 30, "y" * 30]}).pod([ops.put(0, "a", FILE)])
    assert len(found.name) == 40


def test_an_op_calls_for_a_command_on_either_side_or_for_none() -> None:
    subject = chooser(INSTALL, GENERATE)
    assert subject.calls(ops.put(0, "requirements.txt", FILE))
    assert subject.calls(ops.delete(1, "api/a.proto"))
    assert not subject.calls(ops.put(0, "app.py", FILE))
    assert not subject.calls(ops.forget(0, "requirements.txt"))
