"""The agent as a subprocess: really started, really ended, and what happens where it does not start."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from devloop import errors
from devloop.daemon import local
from devloop.protocol import codec, messages
from devloop.transport import dial


def target_in(folder: Path, **more: float) -> local.LocalTarget:
    return local.LocalTarget(str(folder / "target"), ("/app",), str(folder / "s"), str(folder / "agent.log"), **more)


def pids_of(folder: Path) -> list[int]:
    """Return the processes whose command line names a folder."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                if str(folder).encode() in (each / "cmdline").read_bytes():
                    found.append(int(each.name))
            except OSError:
                continue
    return found


async def test_the_agent_is_started_reached_and_ended(tmp_path: Path) -> None:
    target = target_in(tmp_path)
    async with target.open() as (link, key):
        assert len(key) == 64
        nonce = codec.FrameReader().message(await link.recv())
        assert isinstance(nonce, messages.Nonce)
        own = tmp_path / "target" / ".devloop"
        assert (tmp_path / "target" / "app").is_dir()
        assert stat.S_IMODE((own / "agent" / "key").stat().st_mode) == 0o600
        assert stat.S_IMODE((own / "agent").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
        assert pids_of(tmp_path)
    assert not pids_of(tmp_path)
    assert (tmp_path / "agent.log").read_text() == ""
    async with target.open() as (_, other):
        assert other != key


async def test_a_target_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "precious").write_text("precious")
    with pytest.raises(errors.AgentError, match="is not empty") as caught:
        async with target_in(tmp_path).open():
            raise AssertionError
    assert caught.value.hint
    assert os.listdir(tmp_path / "target") == ["precious"]
    assert not pids_of(tmp_path)


async def test_roots_that_overlap_are_refused(tmp_path: Path) -> None:
    target = local.LocalTarget(str(tmp_path / "t"), ("/app", "/"), str(tmp_path / "s"), str(tmp_path / "agent.log"))
    with pytest.raises(errors.AgentError):
        async with target.open():
            raise AssertionError


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("raise SystemExit(3)", errors.AgentError, "ended before it was ready"),
        ("import os; os.kill(os.getpid(), 9)", errors.LinkError, "was killed while it started"),
        ("print('hello')", errors.AgentError, "did not say how to reach it"),
        ("print('[1]')", errors.AgentError, "did not say how to reach it"),
        ("print('x' * 200_000)", errors.AgentError, "did not say how to reach it"),
        ("""print('{"ready": true, "key_file": "/not/there"}')""", errors.AgentError, "did not say how to reach it"),
        ("""print('{"error": {"message": "no", "hint": "h", "code": "DL0605"}}')""", errors.AgentError, "^no$"),
    ],
)
async def test_an_agent_that_does_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, kind: type[errors.DevloopError], words: str
) -> None:
    monkeypatch.setattr(local, "STOP_TIMEOUT_S", 0.1)
    monkeypatch.setattr(local, "_RUN", code)
    with pytest.raises(kind, match=words):
        async with target_in(tmp_path).open():
            raise AssertionError
    assert not pids_of(tmp_path)


async def test_an_agent_that_never_gets_ready_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "START_TIMEOUT_S", 0.3)
    monkeypatch.setattr(local, "_RUN", "import sys; sys.stdin.read()")
    with pytest.raises(errors.AgentError, match="did not start within"):
        async with target_in(tmp_path).open():
            raise AssertionError
    assert not pids_of(tmp_path)


async def test_an_agent_that_does_not_end_is_killed_after_its_apps_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "STOP_TIMEOUT_S", 0.1)
    monkeypatch.setattr(local, "_RUN", "import time; print('hello', flush=True); time.sleep(60)")
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(errors.AgentError):
        async with target_in(tmp_path, grace_s=0.3).open():
            raise AssertionError
    assert loop.time() - began_s >= 0.4
    assert not pids_of(tmp_path)


async def test_an_agent_that_was_killed_leaves_a_link_that_ends(tmp_path: Path) -> None:
    target = local.LocalTarget(str(tmp_path / "t"), ("/app",), str(tmp_path / "s"), str(tmp_path / "agent.log"))
    async with target.open() as (link, _):
        for pid in pids_of(tmp_path):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            while True:
                await link.recv()
        await link.close()
    async with target.open() as (link, _):
        assert await link.recv()


async def test_cancelling_the_start_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_RUN", "import sys; sys.stdin.read()")

    async def start() -> None:
        async with target_in(tmp_path).open():
            raise AssertionError

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        starting = group.create_task(start())
        while not pids_of(tmp_path):
            await asyncio.sleep(0.01)
        starting.cancel()
    assert not pids_of(tmp_path)


async def test_a_socket_that_nobody_serves_is_a_link_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("k")
    said = f"""print('{{"ready": true, "key_file": "{tmp_path}/key"}}', flush=True); import sys; sys.stdin.read()"""
    monkeypatch.setattr(local, "_RUN", said)
    monkeypatch.setattr(dial, "DIAL_TIMEOUT_S", 1.0)
    with pytest.raises(errors.LinkError, match="no agent answers"):
        async with target_in(tmp_path).open():
            raise AssertionError
    assert not pids_of(tmp_path)


async def test_a_log_that_cannot_be_written_is_a_plain_error(tmp_path: Path) -> None:
    target = local.LocalTarget(str(tmp_path / "t"), ("/app",), str(tmp_path / "s"), str(tmp_path / "no" / "log"))
    with pytest.raises(errors.LocalError, match="cannot be started"):
        async with target.open():
            raise AssertionError


def test_a_long_log_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_LOG_BYTES", 10)
    log = tmp_path / "log"
    for text in (b"short", b"and more", b"new"):
        fd = local._open_log(str(log))
        os.write(fd, text)
        os.close(fd)
    assert log.read_bytes() == b"new"
    assert (tmp_path / "log.1").read_bytes() == b"shortand more"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


# ---- what passes (try again), and what does not (give up) ----------------------------------------------------


class Scripted(local.LocalTarget):
    """A target whose agent is a line of Python."""

    def __init__(self, folder: Path, program: str) -> None:
        super().__init__(str(folder), ["/app"], str(folder / "sock"), str(folder / "log"))
        self._program = program

    async def _spawn(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(sys.executable, "-c", self._program, stdin=pipe, stdout=pipe)


def refusing(code: str) -> str:
    line = json.dumps({"error": {"message": "no", "hint": "", "code": code}})
    return f"print({line!r})"


async def opening(target: local.LocalTarget) -> None:
    async with target.open():
        raise AssertionError("it cannot be opened")


async def test_an_agent_that_is_killed_while_it_starts_is_started_again(tmp_path: Path) -> None:
    with pytest.raises(errors.LinkError, match="was killed while it started"):
        await opening(Scripted(tmp_path, "import os; os.kill(os.getpid(), 9)"))


async def test_one_that_ends_by_itself_is_not(tmp_path: Path) -> None:
    with pytest.raises(errors.AgentError, match="ended before it was ready"):
        await opening(Scripted(tmp_path, "raise SystemExit(1)"))


async def test_one_that_refuses_is_not(tmp_path: Path) -> None:
    with pytest.raises(errors.AgentError, match="no"):
        await opening(Scripted(tmp_path, refusing("DL0600")))


async def test_a_predecessor_that_is_still_ending_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Scripted(tmp_path, refusing(errors.AgentError.BUSY))
    for _ in range(2):
        with pytest.raises(errors.LinkError, match="no"):
            await opening(target)
    monkeypatch.setattr(local, "BUSY_TIMEOUT_S", 0.0)
    with pytest.raises(errors.AgentError, match="no"):
        await opening(target)
