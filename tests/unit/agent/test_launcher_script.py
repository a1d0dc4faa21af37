"""scripts/launcher.sh under the real busybox: one command, replaced in place."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent import tools
from tests.unit.agent import launching
from tests.unit.agent.launching import IN_NAMESPACE, launched, needs_busybox, needs_namespaces, until

pytestmark = needs_busybox

PYTHON = (sys.executable, "-I", "-S", "-u", "-c")

# Says what reaches it, each in one write, as others write to the same pipe; ends with 7 on TERM.
TALKER = """if True:
    import signal, sys
    def heard(number, frame):
        sys.stdout.write(signal.Signals(number).name + chr(10))
        if number == signal.SIGTERM:
            sys.exit(7)
    for name in ("TERM", "INT", "HUP", "USR1", "USR2", "WINCH"):
        signal.signal(getattr(signal, "SIG" + name), heard)
    print("up")
    while True:
        signal.pause()
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up')\nwhile True: signal.pause()"
KILLED = "devloop: the command did not end in time and is killed"


async def test_a_restart_replaces_the_process_in_place(tmp_path: Path) -> None:
    async with launched(tmp_path, *PYTHON, TALKER) as subject:
        await subject.hears("up")
        first = await subject.phase("running", 1)
        subject.order("restart 1")
        await subject.hears("SIGTERM", "up")
        second = await subject.phase("running", 2)
        assert first[1] != second[1]
        assert second[3:] == ["7", "1"]
        assert subject.process.returncode is None


async def test_the_command_gets_its_arguments_its_folder_and_its_environment_unharmed(tmp_path: Path) -> None:
    show = "import os, sys; print(sys.argv[1:], os.getcwd() == sys.argv[4], os.environ['PYTHONUNBUFFERED'])"
    words = ("a b", "$HOME `x` '\"*", "", os.getcwd(), "--run", "--")
    async with launched(tmp_path, *PYTHON, show, *words) as subject:
        await subject.hears(f"{list(words)} True 1")


async def test_the_command_has_signals_as_if_nothing_were_between_and_a_group_of_its_own(tmp_path: Path) -> None:
    show = (
        "import os, signal\n"
        "print([signal.Signals(n).name for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN])\n"
        "print(os.getpgid(0) == os.getpid() == os.getsid(0), sorted(map(int, os.listdir('/proc/self/fd')))[:4])"
    )
    async with launched(tmp_path, *PYTHON, show) as subject:
        # Python itself ignores these two; the fourth descriptor is the listing's own.
        await subject.hears("['SIGPIPE', 'SIGXFSZ']", "True [0, 1, 2, 3]")


async def test_output_comes_as_it_is_written(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.write('no newline yet'); sys.stdin.read(); import signal; signal.pause()"
    async with launched(tmp_path, *PYTHON, code) as subject:
        async with asyncio.timeout(launching.PATIENCE_S):
            assert await subject.printed.readexactly(14) == b"no newline yet"


@pytest.mark.parametrize("name", ["INT", "HUP", "USR1", "USR2", "WINCH"])
async def test_signals_are_passed_on(tmp_path: Path, name: str) -> None:
    async with launched(tmp_path, *PYTHON, TALKER) as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        subject.process.send_signal(getattr(signal, f"SIG{name}"))
        await subject.hears(f"SIG{name}")


async def test_signals_reach_the_whole_group(tmp_path: Path) -> None:
    both = "trap 'echo leader' HUP; \"$@\" & while :; do wait; done"
    async with launched(tmp_path, "sh", "-c", both, "sh", *PYTHON, TALKER) as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        subject.process.send_signal(signal.SIGHUP)
        assert {await subject.line(), await subject.line()} == {"leader", "SIGHUP"}


async def test_the_exit_status_is_the_containers_when_the_pod_stops(tmp_path: Path) -> None:
    async with launched(tmp_path, *PYTHON, TALKER) as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        subject.process.terminate()
        await subject.hears("SIGTERM")
        assert await subject.ended() == 7


async def test_a_command_that_dies_of_the_signal_shows_as_it_would_alone(tmp_path: Path) -> None:
    async with launched(tmp_path, "sleep", "1000") as subject:
        await subject.phase("running", 1)
        subject.process.terminate()
        assert await subject.ended() == 128 + signal.SIGTERM


async def test_a_stop_before_the_command_has_begun_is_not_lost(tmp_path: Path) -> None:
    async with launched(tmp_path, *PYTHON, TALKER) as subject:
        await until(subject.state, "any state")
        subject.process.terminate()
        await subject.ended()


async def test_a_command_that_ignores_term_is_killed_after_the_grace(tmp_path: Path) -> None:
    async with launched(tmp_path, *PYTHON, DEAF, grace="0.2") as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        subject.order("restart 1")
        await subject.hears(KILLED, "up")
        assert (await subject.phase("running", 2))[3] == "137"
        subject.process.terminate()
        await subject.hears(KILLED)
        assert await subject.ended() == 137


@needs_namespaces
async def test_what_ignores_term_behind_its_leader_is_killed_before_the_next_starts(tmp_path: Path) -> None:
    leave = f"{' '.join(PYTHON)} \"$1\" & trap 'exit 3' TERM; while :; do wait; done"
    async with launched(tmp_path, "sh", "-c", leave, "sh", DEAF, before=IN_NAMESPACE, grace="0.3") as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        subject.order("restart 1")
        await subject.hears(KILLED, "up")


async def test_a_crash_is_tried_again_after_a_pause_that_grows(tmp_path: Path) -> None:
    async with launched(tmp_path, "sh", "-c", "echo hello; exit 3") as subject:
        await subject.hears("hello", "devloop: the command ended with status 3; next try in 0.5 s")
        await subject.hears("hello", "devloop: the command ended with status 3; next try in 1.0 s")
        assert (await subject.phase("backoff", 2))[1:4] == ["0", "2", "3"]
        subject.order("restart 9")
        # What somebody wants at last may be the fix: at once, and with the pauses forgotten.
        await subject.hears("hello", "devloop: the command ended with status 3; next try in 0.5 s")
        assert subject.process.returncode is None
        subject.process.terminate()
        assert await subject.ended() == 3


@pytest.mark.parametrize("order", ["start 1", "restart 1", "signal HUP 1"])
async def test_a_command_that_is_not_there_waits_for_the_change_that_brings_it(tmp_path: Path, order: str) -> None:
    command = tmp_path / "late"
    async with launched(tmp_path, str(command)) as subject:
        assert "not found" in await subject.line()
        await subject.hears("devloop: the command ended with status 127; it waits for the next change")
        await subject.phase("crashed", 1)
        command.write_text("#!/bin/sh\necho fixed\nexec sleep 1000\n")
        command.chmod(0o755)
        subject.order(order)
        await subject.hears("fixed")


async def test_a_script_that_did_its_work_runs_again_on_the_next_change(tmp_path: Path) -> None:
    async with launched(tmp_path, "echo", "done") as subject:
        await subject.hears("done")
        assert (await subject.phase("finished", 1))[3] == "0"
        subject.order("restart 1")
        await subject.hears("done")
        await subject.phase("finished", 2)
        subject.process.terminate()
        assert await subject.ended() == 0


async def test_a_reload_signal_goes_to_the_leader_alone(tmp_path: Path) -> None:
    async with launched(tmp_path, *PYTHON, TALKER) as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        subject.order("signal HUP 4")
        await subject.hears("SIGHUP")
        await until(lambda: subject.state()[4] == "4", "the order is acknowledged")


async def test_a_command_without_a_handler_for_its_reload_signal_is_started_again_at_once(tmp_path: Path) -> None:
    async with launched(tmp_path, "sh", "-c", "echo up; exec sleep 1000") as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        subject.order("signal USR1 1")
        await subject.hears("up")
        assert (await subject.phase("running", 2))[3] == str(128 + signal.SIGUSR1)


async def test_it_waits_for_the_first_sync(tmp_path: Path) -> None:
    async with launched(tmp_path, "echo", "now", options=("--wait-first-sync",)) as subject:
        assert await subject.phase("waiting", 0) == ["waiting", "0", "0", "-", "0"]
        subject.order("start 1")
        await subject.hears("now")


async def test_it_waits_for_the_first_sync_only_so_long(tmp_path: Path) -> None:
    async with launched(tmp_path, "echo", "now", options=("--wait-first-sync=0.1",)) as subject:
        await subject.hears("devloop: no first sync for 0.1 s: starting the command", "now")


async def test_a_pod_that_stops_before_the_first_sync_ends_well(tmp_path: Path) -> None:
    async with launched(tmp_path, "echo", "now", options=("--wait-first-sync",)) as subject:
        await subject.phase("waiting", 0)
        subject.process.terminate()
        assert await subject.ended() == 0


async def test_many_restarts_at_once_leave_one_process(tmp_path: Path) -> None:
    async with launched(tmp_path, "sh", "-c", "echo $$; exec sleep 1000") as subject:
        pids = [await subject.line()]
        await subject.phase("running", 1)
        for number in range(1, 30):
            subject.order(f"restart {number}")
        await until(lambda: subject.state()[4] == "29" and subject.state()[0] == "running", "all orders are taken")
        last = subject.state()[1]
        while pids[-1] != last:
            pids.append(await subject.line())
        assert [pid for pid in pids if os.path.exists(f"/proc/{pid}")] == [last]
        assert 2 <= len(pids) <= int(subject.state()[2])


@pytest.mark.parametrize("line", ["", "dance", "restart", "signal", "signal NONE 1", "run ../../x", "kill TERM none",
                                  "+ended 9 0", "+started x", "x" * 511, "$(touch x) `y` \\"])  # fmt: skip
async def test_lines_that_mean_nothing_do_nothing(tmp_path: Path, line: str) -> None:
    async with launched(tmp_path, *PYTHON, TALKER) as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        subject.order(line)
        subject.order("restart 2")
        await subject.hears("SIGTERM", "up")


@needs_namespaces
async def test_as_the_first_process_it_reaps_what_the_app_leaves_behind(tmp_path: Path) -> None:
    # Orphans in groups of their own, which nobody but the first process may wait for.
    leave = "for n in 1 2 3; do (setsid sh -c 'echo gone >&3' 3>&1 &) ; done; exec sleep 1000"
    async with launched(tmp_path, "sh", "-c", leave, before=IN_NAMESPACE) as subject:
        await subject.hears("gone", "gone", "gone")
        pid = (await subject.phase("running", 1))[1]
        inside = await until(lambda: _first_process_of(subject.process.pid), "the first process")
        assert int(pid) > 1
        await until(lambda: not _zombies_below(inside), "no zombie")
        os.kill(inside, signal.SIGTERM)
        assert await subject.ended() == 128 + signal.SIGTERM


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def _first_process_of(unshare: int) -> int:
    return next(iter(_children(unshare)), 0)


def _zombies_below(pid: int) -> list[int]:
    found = []
    for child in _children(pid):
        with open(f"/proc/{child}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                found.append(child)
    return found


@needs_namespaces
async def test_any_user_in_a_scratch_image_with_a_read_only_root_and_without_proc(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("tools", "run", "dev"):
        (root / name).mkdir(parents=True)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    run_folder.chmod(0o777)
    tools.install(str(root / "tools"), launching.BUSYBOX)
    # chroot is in sbin, which Debian keeps off its users' PATH.
    enter = (
        "PATH=$PATH:/usr/sbin:/sbin"
        " && mount --bind $0 $0 && mount -o remount,ro,bind $0 && mount --bind $1 $0/run && mount --bind /dev $0/dev"
        ' && shift && exec chroot --userspec 1000720000:1000720000 "$0" "$@"'
    )
    inside = ("/tools/busybox", "sh", "-c", "echo up; echo >/x || exec /tools/busybox sleep 1000")
    argv = ["/tools/busybox", "sh", "/tools/launcher.sh", "--run", "/run", "--", *inside]
    other = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enter, str(root), str(run_folder))
    async with launching.launched_as(run_folder, [*other, *argv], hidden=True) as subject:
        await subject.hears("up")
        assert "Read-only file system" in await subject.line()
        await subject.phase("running", 1)
        subject.order("restart 1")
        await subject.hears("up")
        assert stat.S_IMODE(os.stat(run_folder / "ctl").st_mode) == 0o660


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    tools.install(str(folder), launching.BUSYBOX)
    return subprocess.run(
        [folder / "busybox", "sh", folder / "launcher.sh", *arguments], capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is no command after --"),
        (("--grace", "soon", "--", "true"), "--grace needs seconds, not 'soon'"),
        (("--grace",), "--grace needs seconds, not ''"),
        (("--wait-first-sync=x", "--", "true"), "--wait-first-sync needs seconds, not 'x'"),
        (("--dance", "--", "true"), "unknown argument '--dance'"),
        (("--run", "/proc/nowhere", "--", "true"), "cannot write to /proc/nowhere"),
    ],
)
def test_wrong_arguments_are_told(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = run(tmp_path, *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck")
@pytest.mark.parametrize("name", ["launcher.sh", "seed.sh"])
def test_the_scripts_pass_shellcheck(name: str) -> None:
    script = Path(__file__).parents[3] / "agent" / "scripts" / name
    checked = subprocess.run(["shellcheck", "--shell", "sh", script], capture_output=True, text=True)
    assert checked.stdout == ""
