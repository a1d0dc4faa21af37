"""What the asking verbs have in common."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from devloop import errors
from devloop.cli import asking, options
from tests.unit.cli import watched


@pytest.mark.parametrize(
    ("states", "status"), [([], 0), (["in sync"], 0), (["in sync", "held"], 3), (["in sync", "stopped"], 3)]
)
def test_states_mean_a_status(states: list[str], status: int) -> None:
    assert int(asking.exit_of(states)) == status


def test_the_project_is_found_from_below(monkeypatch: pytest.MonkeyPatch) -> None:
    with watched.watched() as project:
        project.answers["status"] = {"x": 1}
        here = os.getcwd()
        Path("web/deep").mkdir(parents=True)
        monkeypatch.chdir("web/deep")
        assert asking.folder_of(options.Settings()) == here
        assert asking.ask(options.Settings(), "status", {"a": 1}) == {"x": 1}
        assert project.asked == [("status", {"a": 1})]


def test_no_project_is_a_config_error() -> None:
    with pytest.raises(errors.ConfigError):
        asking.client_of(options.Settings())


def test_a_pause_takes_time() -> None:
    began_s = time.monotonic()
    asking.pause(0.01)
    assert time.monotonic() > began_s
