"""The three places where an app may run."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import hooks, launcher, places, remote
from devloop.core.appstate import Policy
from devloop.proc import lines
from devloop.protocol import messages
from tests.unit.agent.test_launcher import Ear


async def test_folders_are_found_by_the_longest_name() -> None:
    made = places.Here("x", [("/app", "/v0"), ("/app/sub", "/v1"), ("/", "/v2")], lines.LineQueue())
    assert made.folder_of("/app") == "/v0"
    assert made.folder_of("/app/x/y") == "/v0/x/y"
    assert made.folder_of("/app/sub/z") == "/v1/z"
    assert made.folder_of("/apple") == "/v2/apple"
    assert places.Here("x", [("/app", "/v0")], lines.LineQueue()).folder_of("/tmp") == "/tmp"


async def test_under_a_launcher_paths_and_variables_are_the_containers(tmp_path: Path) -> None:
    made = places.UnderLauncher(str(tmp_path), lines.LineQueue())
    assert made.folder_of("/app/x") == "/app/x"
    assert made.environment({"A": "b"}) == {"A": "b"}
    app = made.app(messages.AppSpec(messages.ReloadMode.SIGNAL), Policy(), lambda state: None)
    assert isinstance(app, remote.RemoteApp)


async def test_out_of_reach_every_command_is_refused_with_the_reason() -> None:
    made = places.OutOfReach()
    (result,) = await made.run(hooks.HookSpec("install", ("pip",), "/") for _ in range(1))
    assert result.exit_status is None and "no launcher" in result.failure
    assert made.app(messages.AppSpec(messages.ReloadMode.SUPERVISE, ("x",)), Policy(), lambda state: None) is None


@pytest.mark.parametrize("mode", list(messages.ReloadMode))
async def test_a_reload_out_of_reach_is_told_as_failed(mode: messages.ReloadMode) -> None:
    ear = Ear()
    made = launcher.Launcher(lambda output: places.OutOfReach(), ear.say, ear.output)
    made.configure(messages.AppSpec(mode, run=("reload-it",)))
    made.after_batch((), reload=True)
    await made._reload()
    done = [each for each in ear.said if isinstance(each, messages.HookDone)]
    if mode is messages.ReloadMode.NONE:
        assert done == []
    else:
        assert [(each.name, each.ok) for each in done] == [(launcher.RELOAD, False)]
        assert "reload: {mode: supervise}" in done[0].outcome
