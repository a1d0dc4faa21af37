"""Process groups: waited for and ended as a whole, and never mistaken for another."""

import asyncio
import os
import signal
import subprocess

import msgspec
import pytest

from devloop.proc import group, identity, lines, table
from tests.unit.proc.commands import IGNORES_TERM, PATIENCE_S, PYTHON, Reader, shell, start


def leader_of(popen: "subprocess.Popen[bytes]") -> identity.Identity:
    who = identity.of(popen.pid)
    assert who is not None
    return who


async def test_all_members_count_and_the_leader_need_not_be_one() -> None:
    output = lines.LineQueue()
    process = start(shell("sleep 1000 & echo $!"), output)
    sleeper = int(await Reader(output).text())
    await process.exited()
    assert [seen.pid for seen in group.living(process.identity)] == [sleeper]
    async with asyncio.timeout(PATIENCE_S):
        assert await group.end(process.identity, 10)
        await process.gone()
    assert group.living(process.identity) == []


async def test_what_ignores_term_is_killed() -> None:
    output = lines.LineQueue()
    process = start(IGNORES_TERM, output)
    assert await Reader(output).text() == "ready"
    async with asyncio.timeout(PATIENCE_S):
        assert await group.end(process.identity, 0.05)
        assert await process.gone() == -signal.SIGKILL


async def test_a_member_that_leaves_for_a_session_of_its_own_is_not_waited_for() -> None:
    script = "import os, sys; os.fork() and sys.exit(); print('forked'); input(); os.setsid(); print(os.getpid()); "
    script += "import signal; signal.pause()"
    held, release = os.pipe()
    popen = subprocess.Popen([*PYTHON, script], stdin=held, stdout=subprocess.PIPE, start_new_session=True)
    assert popen.stdout is not None
    who = leader_of(popen)
    assert popen.stdout.readline() == b"forked\n"
    popen.wait()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(group.empty(who))
        await asyncio.sleep(0)
        assert not waiting.done()
        os.write(release, b"\n")
    os.kill(int(popen.stdout.readline()), signal.SIGKILL)
    popen.stdout.close()
    os.close(held)
    os.close(release)


async def test_a_stale_group_is_ended_by_who_comes_next() -> None:
    popen = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    who = leader_of(popen)
    async with asyncio.timeout(PATIENCE_S):
        assert await group.end_stale(who, 10)
    assert popen.wait() == -signal.SIGTERM
    assert not await group.end_stale(who, 10)


async def test_a_stale_group_without_its_leader_is_found() -> None:
    popen = subprocess.Popen(shell("sleep 1000 & echo $!"), stdout=subprocess.PIPE, start_new_session=True)
    assert popen.stdout is not None
    who, sleeper = leader_of(popen), int(popen.stdout.readline())
    popen.wait()
    async with asyncio.timeout(PATIENCE_S):
        assert await group.end_stale(who, 10)
    popen.stdout.close()
    seen = table.look(sleeper)
    assert seen is None or seen.zombie


@pytest.mark.parametrize("field", ["start", "boot"])
async def test_a_recycled_id_is_never_signalled(field: str) -> None:
    popen = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    stranger = msgspec.structs.replace(leader_of(popen), **{field: "another"})
    assert not await group.end_stale(stranger, 10)
    if field == "start":
        assert group.living(stranger) == []
        assert not group.send(stranger, signal.SIGKILL)
        assert not group.send_leader(stranger, signal.SIGKILL)
    assert popen.communicate(b"alive")[0] == b"alive"
    assert popen.returncode == 0


async def test_a_signal_to_the_leader_spares_the_others() -> None:
    output = lines.LineQueue()
    reader = Reader(output)
    process = start([*PYTHON, "import os, signal\nif os.fork(): os.write(1, b'up\\n')\nsignal.pause()"], output)
    assert await reader.text() == "up"
    assert group.send_leader(process.identity, signal.SIGHUP)
    assert await process.exited() == -signal.SIGHUP
    assert len(group.living(process.identity)) == 1
    assert not group.send_leader(process.identity, signal.SIGHUP)
    await process.end()


async def test_without_pidfd_ends_are_seen_by_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "_pidfd", lambda pid: None)
    output = lines.LineQueue()
    process = start(shell("sleep 1000 & sleep 1000"), output)
    async with asyncio.timeout(PATIENCE_S):
        assert await process.end(10) == -signal.SIGTERM


async def test_the_end_of_a_process_that_never_was_is_now() -> None:
    async with asyncio.timeout(PATIENCE_S):
        await group.end_of(2**22 + 1)


async def test_the_end_of_a_stranger_is_waited_for_no_longer_than_asked() -> None:
    async with asyncio.timeout(PATIENCE_S):
        await group.end_of(os.getpid(), 0.01)
