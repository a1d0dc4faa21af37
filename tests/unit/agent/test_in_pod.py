"""The agent as a pod runs it: over its port, beside a launcher, and again after its container was killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from agent import roots
from devloop.protocol import messages
from devloop.transport import dial
from tests.unit.agent import linked
from tests.unit.agent.launching import PATIENCE_S, launched, needs_busybox
from tests.unit.agent.test_server import free_port
from tests.unit.wire import wired


@contextlib.asynccontextmanager
async def agent_of(folder: Path, spec: roots.RootSpec, port: int) -> AsyncIterator[bytes]:
    """Run an agent, give its key, and kill it."""
    listed = json.dumps([{"to": spec.to, "data": spec.data, "stage": spec.stage, "state": spec.state}])
    argv = [sys.executable, "-m", "agent", "serve", "--roots", listed, "--state", str(folder / "key")]
    argv += ["--port", str(port), "--launcher", str(folder / "run")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                said = json.loads(await asyncio.to_thread(process.stdout.readline))
            assert said["ready"] is True
            asked = [sys.executable, "-m", "agent", "key", "--state", str(folder / "key")]
            yield subprocess.run(asked, capture_output=True, check=True).stdout
        finally:
            process.kill()


@needs_busybox
async def test_the_next_agent_finds_everything_but_its_key(tmp_path: Path) -> None:
    sync = tmp_path / "sync-0"
    spec = roots.RootSpec(to="/app", data=str(sync / "data"), stage=str(sync / "stage"), state=str(sync / "state"))
    (sync / "data").mkdir(parents=True)
    keys, trees, boots, port = [], [], [], free_port()
    # The app is no child of the agent's and lives through its deaths.
    async with launched(tmp_path, "sh", "-c", f"cat {spec.data}/a || echo none; exec sleep 1000") as subject:
        assert "No such file" in await subject.line()
        await subject.hears("none")
        await subject.phase("running", 1)
        for turn in (1, 2):
            async with agent_of(tmp_path, spec, port) as key, asyncio.TaskGroup() as group:
                connected = socket.create_connection(("127.0.0.1", port))
                app = messages.AppSpec(messages.ReloadMode.SUPERVISE, cwd="/app")
                claim = linked.hello(syncs=(messages.SyncSpec("/app"),), app=app)
                laptop = linked.Laptop(await dial.over(wired.Wired(connected), "a pod"), claim, key)
                running = group.create_task(laptop.run())
                await laptop.opened()
                assert laptop.hello is not None
                keys.append(key)
                boots.append(laptop.hello.boot_id)
                trees.append((laptop.hello.roots[0].tree_id, laptop.hello.roots[0].managed))
                assert subject.state()[2] == str(turn)
                assert not (await laptop.batch({"a": f"{turn}\n"})).problems
                await subject.hears(str(turn))
                await laptop.told(messages.AppChanged, _runs_since(turn + 1))
                running.cancel()
    assert len(set(keys)) == len(set(boots)) == 2
    assert trees[0][0] == trees[1][0]
    assert [managed for _, managed in trees] == [0, 1]


def _runs_since(starts: int) -> Callable[[messages.AppChanged], bool]:
    return lambda told: (told.phase, told.starts) == ("running", starts)
