"""What the configuration says, in the words of the engine and of the agent."""

from __future__ import annotations

from typing import Any

import pytest

from devloop.config import model
from devloop.daemon import specs
from devloop.protocol import messages


def service(**more: Any) -> model.Service:
    first = {"from": "/project/web", "to": "/app", **more.pop("sync", {})}
    return model.Service.model_validate({"target": {"local": "/project/.devloop/web"}, "sync": [first], **more})


def test_a_sync_says_what_becomes_of_extra_paths_and_what_is_pulled() -> None:
    (kept,) = specs.sources(service())
    assert not kept.delete_extra and not kept.pulled("uv.lock")
    (given_up,) = specs.sources(service(sync={"extra": "delete", "pull": ["*.lock"]}))
    assert given_up.delete_extra and given_up.pulled("uv.lock") and not given_up.pulled("a.py")


def test_an_agent_is_told_where_syncs_go_and_what_may_come_back() -> None:
    assert specs.syncs(service(sync={"pull": ["*.lock"]})) == (messages.SyncSpec("/app", ("*.lock",)),)


def test_an_app_runs_where_the_first_sync_goes_unless_it_says_otherwise() -> None:
    supervised: dict[str, Any] = {"command": ["python", "app.py"], "reload": {"mode": "supervise", "grace": "3s"}}
    spec = specs.app(service(**supervised, env={"A": "b"}))
    assert (spec.mode, spec.command, spec.cwd) == (messages.ReloadMode.SUPERVISE, ("python", "app.py"), "/app")
    assert (spec.env, spec.grace_s) == ({"A": "b"}, 3.0)
    assert specs.app(service(**supervised, workdir="/app/src")).cwd == "/app/src"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, False),
        ({"command": ["python"], "reload": {"mode": "supervise"}}, True),
        ({"reload": {"mode": "signal", "signal": "HUP"}}, True),
    ],
)
def test_a_service_without_a_command_and_a_reload_has_no_app(more: dict[str, Any], found: bool) -> None:
    assert specs.has_app(service(**more)) is found


def test_paths_in_output_become_the_laptops_wherever_the_app_runs() -> None:
    rewrite = specs.path_map(service(), "/project").rewrite
    assert rewrite("at /app/x.py:1") == "at web/x.py:1"
    assert rewrite("at /project/.devloop/web/app/x.py:1") == "at web/x.py:1"


def test_a_sync_is_called_by_both_its_folders() -> None:
    assert specs.label(service().sync[0], "/project") == "web -> /app"
