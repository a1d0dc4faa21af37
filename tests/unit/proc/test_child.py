"""Commands, from start to end."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devloop.proc import child, group, lines
from tests.unit.proc.commands import ENDS_ON_TERM, IGNORES_TERM, PATIENCE_S, PYTHON, Reader, shell, start


async def run(argv: list[str], cwd: str = "/") -> tuple[int, list[tuple[str, str]]]:
    output = lines.LineQueue()
    process = start(argv, output, cwd=cwd)
    async with asyncio.timeout(PATIENCE_S):
        status = await process.gone()
    output.close()
    taken = await output.take()
    return status, [(line.stream.value, line.text) for line in taken.lines] if taken else []


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", -9), ("kill -TERM $$", -15)],
)
async def test_the_exit_status_is_told(script: str, status: int) -> None:
    assert await run(shell(script)) == (status, [])


async def test_both_streams_are_read_and_the_last_line_needs_no_end() -> None:
    status, texts = await run(shell("echo out; echo err >&2; printf last"))
    assert status == 0
    assert [text for stream, text in texts if stream == "stdout"] == ["out", "last"]
    assert [text for stream, text in texts if stream == "stderr"] == ["err"]


async def test_a_command_has_its_folder_its_environment_and_no_input(tmp_path: Path) -> None:
    output = lines.LineQueue()
    argv = shell("pwd; echo $GREETING $HOME; cat; echo end")
    process = child.start(argv, cwd=str(tmp_path), env={"GREETING": "hello", "PATH": os.environ["PATH"]},
                          output=output, source="app")  # fmt: skip
    assert isinstance(process, child.Process)
    await process.gone()
    assert await Reader(output).rest() == [str(tmp_path), "hello", "end"]


async def test_a_command_may_be_given_input() -> None:
    output = lines.LineQueue()
    reading, writing = os.pipe()
    process = child.start(["cat"], cwd="/", env=None, output=output, source="app", stdin=reading)
    assert isinstance(process, child.Process)
    os.close(reading)
    os.write(writing, b"hello\n")
    os.close(writing)
    assert await process.gone() == 0
    assert await Reader(output).text() == "hello"


async def test_lines_are_rewritten_on_their_way() -> None:
    output = lines.LineQueue()
    process = child.start(["echo", "hello"], cwd="/", env=None, output=output, source="app", rewrite=str.upper)
    assert isinstance(process, child.Process)
    await process.gone()
    assert await Reader(output).text() == "HELLO"


async def test_term_is_honoured() -> None:
    output = lines.LineQueue()
    reader = Reader(output)
    process = start(ENDS_ON_TERM, output)
    assert await reader.text() == "ready"
    async with asyncio.timeout(PATIENCE_S):
        assert await process.end(PATIENCE_S) == 3
    assert await reader.text() == "bye"


async def test_kill_follows_where_term_is_ignored() -> None:
    output = lines.LineQueue()
    process = start(IGNORES_TERM, output)
    assert await Reader(output).text() == "ready"
    async with asyncio.timeout(PATIENCE_S):
        assert await process.end(0.05) == -signal.SIGKILL


async def test_grandchildren_end_with_the_group_and_have_their_grace() -> None:
    output = lines.LineQueue()
    reader = Reader(output)
    inner = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('inner bye'), sys.exit())); "
    inner += "print('ready'); signal.pause()"
    process = start([*PYTHON, f"import subprocess, sys; subprocess.run({[*PYTHON, inner]!r})"], output)
    assert await reader.text() == "ready"
    async with asyncio.timeout(PATIENCE_S):
        assert await process.end(PATIENCE_S) == -signal.SIGTERM
    assert await reader.text() == "inner bye"
    assert group.living(process.identity) == []


async def test_grandchildren_that_ignore_term_are_killed_when_the_leader_is_long_gone() -> None:
    output = lines.LineQueue()
    process = start(shell("(trap '' TERM; echo ready; sleep 1000; sleep 1000) & wait"), output)
    assert await Reader(output).text() == "ready"
    async with asyncio.timeout(PATIENCE_S):
        assert await process.end(0.1) == -signal.SIGTERM
    assert group.living(process.identity) == []


async def test_a_cancelled_end_kills_at_once_and_leaves_nothing() -> None:
    output = lines.LineQueue()
    process = start(IGNORES_TERM, output)
    assert await Reader(output).text() == "ready"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await process.end(1000)
    async with asyncio.timeout(PATIENCE_S):
        assert await process.exited() == -signal.SIGKILL
        await group.empty(process.identity)


async def test_a_flood_is_bounded_counted_and_never_blocks_the_writer() -> None:
    output = lines.LineQueue(max_lines=500)
    script = "for i in range(100_000): print(i)"
    process = start([*PYTHON[:-2], "-c", script], output)
    async with asyncio.timeout(PATIENCE_S):
        assert await process.gone() == 0
    taken = await output.take()
    assert taken is not None
    assert len(taken.lines) == 500
    assert taken.dropped == 99_500
    assert taken.lines[-1].text == "99999"


async def test_a_process_that_escaped_does_not_hold_up_the_end() -> None:
    output = lines.LineQueue()
    reader = Reader(output)
    escapes = (
        "import os, signal\nif os.fork(): os._exit(0)\nos.setsid(); print(os.getpid(), flush=True); signal.pause()"
    )
    process = start(
        [*PYTHON, f"import subprocess; subprocess.run({[*PYTHON, escapes]!r}); import signal; signal.pause()"], output
    )
    escaped = int(await reader.text())
    async with asyncio.timeout(PATIENCE_S):
        await process.end()
    os.kill(escaped, signal.SIGKILL)


def script_file(folder: Path, content: bytes, mode: int) -> None:
    path = folder / "run"
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.parametrize(
    ("argv", "content", "mode", "number", "message"),
    [
        (["no-such-command"], b"", 0o644, errno.ENOENT, "command not found: no-such-command"),
        (["./missing"], b"", 0o644, errno.ENOENT, "command not found: ./missing"),
        (["./run"], b"#!/bin/sh\n", 0o644, errno.EACCES, "./run: not executable"),
        (["./run"], b"#!/no/such/interpreter\n", 0o755, errno.ENOENT, "./run: its interpreter does not exist"),
        (["./run"], b"#!/bin/sh\r\n", 0o755, errno.ENOENT, "./run: its interpreter does not exist"),
        (["./run"], b"\0\0\0\0", 0o755, errno.ENOEXEC, "./run: not a program"),
        (["/"], b"", 0o644, errno.EACCES, "/: not executable"),
        (["echo", "x" * 300_000], b"", 0o644, errno.E2BIG, "the command and its environment are too long"),
        (["echo", "a\0b"], b"", 0o644, errno.EINVAL, "the command cannot be passed to the system"),
        ([""], b"", 0o644, errno.EINVAL, "the command is empty"),
        ([], b"", 0o644, errno.EINVAL, "the command is empty"),
    ],
)
async def test_a_command_that_cannot_start_says_why(
    tmp_path: Path, argv: list[str], content: bytes, mode: int, number: int, message: str
) -> None:
    script_file(tmp_path, content, mode)
    failure = child.start(argv, cwd=str(tmp_path), env=None, output=lines.LineQueue(), source="app")
    assert isinstance(failure, child.StartFailure)
    assert failure.errno == number
    assert failure.message.startswith(message)
    assert failure.lasting


async def test_a_missing_folder_is_not_taken_for_a_missing_command() -> None:
    failure = child.start(["true"], cwd="/no/such", env=None, output=lines.LineQueue(), source="app")
    assert isinstance(failure, child.StartFailure)
    assert failure.message == "the folder to run in does not exist: /no/such"
    assert "workdir" in failure.hint


async def test_trouble_that_passes_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", no_process)
    failure = child.start(["true"], cwd="/", env=None, output=lines.LineQueue(), source="app")
    assert isinstance(failure, child.StartFailure)
    assert not failure.lasting


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are listed in /proc")
async def test_no_descriptor_is_left_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await run(["true"])
    child.start(["no-such-command"], cwd="/", env=None, output=lines.LineQueue(), source="app")
    assert set(os.listdir("/proc/self/fd")) == before
