"""The lines of shell around a command, run by real shells: who is told what, what arrives, how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop.shell import wrapper

NONCE = "0123456789abcdef"
SHELLS = [
    shell for shell in [("sh",), ("bash",), ("dash",), (shutil.which("busybox") or "busybox", "sh")]
    if shutil.which(shell[0])
]  # fmt: skip
each_shell = pytest.mark.parametrize("shell", SHELLS, ids=[Path(shell[-1]).name + str(len(shell)) for shell in SHELLS])

PYTHON = sys.executable
PLAIN, ENDED, FRAMED = wrapper.Stdin.PLAIN, wrapper.Stdin.ENDED, wrapper.Stdin.FRAMED
each_stdin = pytest.mark.parametrize("stdin", [PLAIN, ENDED, FRAMED], ids=lambda each: str(each.value))


def run(
    shell: tuple[str, ...], *command: str, told: bytes = b"", folder: str = "", stdin: wrapper.Stdin = PLAIN
) -> tuple[int, bytes, bytes, wrapper.Told | None]:
    argv = wrapper.argv(shell, NONCE, command, folder=folder, stdin=stdin)
    done = subprocess.run(argv, input=told, capture_output=True, timeout=30, start_new_session=True)
    line = wrapper.Announcement(NONCE)
    return done.returncode, done.stdout, line.feed(done.stderr) + line.rest(), line.told


@each_shell
def test_a_command_becomes_the_process_that_was_announced(shell: tuple[str, ...], tmp_path: Path) -> None:
    code = "import os, sys; print(os.getpid(), os.getcwd(), sys.argv[1:]); sys.stderr.write('said'); sys.exit(42)"
    words = ["a b", "", "$(x)", "'"]
    status, out, err, told = run(shell, PYTHON, "-c", code, *words, folder=str(tmp_path))
    assert (status, err) == (42, b"said") and told is not None and not told.framed
    assert out.decode().strip() == f"{told.pid} {tmp_path} {words}"


@each_shell
@each_stdin
def test_what_is_not_there_is_told_apart_from_a_127_of_the_command(
    shell: tuple[str, ...], stdin: wrapper.Stdin
) -> None:
    for name in ("no-such-program-1", "/no/such/program"):
        assert run(shell, name, stdin=stdin) == (127, b"", b"", wrapper.Told(0))
    status, _, err, told = run(shell, "sh", "-c", "exit 127", stdin=stdin)
    assert status == 127 and not err and told is not None and told.pid


@each_shell
def test_what_cannot_be_executed_is_126_and_a_missing_folder_is_said(shell: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    status, _, err, told = run(shell, str(tmp_path / "data"))
    assert status == 126 and b"denied" in err and told is not None
    status, _, err, told = run(shell, "true", folder=str(tmp_path / "nowhere"))
    assert status == 0 and b"nowhere" in err and told is not None


@each_shell
@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_a_framed_input_arrives_whole_and_ends(shell: tuple[str, ...], size: int) -> None:
    data = os.urandom(size)
    pieces = [data[:1], data[1:60_000], data[60_000:]]
    framed = b"".join(wrapper.frame(piece) for piece in pieces if piece) + wrapper.END
    # What comes after the end is nobody's.
    status, out, err, told = run(
        shell, "sh", "-c", "cat; echo e >&2; exit 7", told=framed + b"9\nleftover", stdin=FRAMED
    )
    assert (status, err) == (7, b"e\n") and out == data and told is not None and told.framed


@each_shell
@pytest.mark.parametrize("stdin", [ENDED, FRAMED], ids=["ended", "framed"])
def test_a_command_that_ends_before_its_input_is_told_and_the_rest_is_taken(
    shell: tuple[str, ...], stdin: wrapper.Stdin
) -> None:
    argv = wrapper.argv(shell, NONCE, ["sh", "-c", "head -c 3; exit 5"], stdin=stdin)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(wrapper.frame(b"hello") if stdin is FRAMED else b"hello")
        process.stdin.flush()
        line = wrapper.Announcement(NONCE)
        while not line.ended:
            assert line.feed(process.stderr.readline()) == b""
        # More than any pipe holds: somebody takes it.
        more = bytes(500_000)
        process.stdin.write(wrapper.frame(more) + wrapper.END if stdin is FRAMED else more)
        process.stdin.flush()
        if stdin is ENDED:
            process.stdin.close()
        assert process.wait(20) == 5 and process.stdout.read() == b"hel"
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


@each_shell
@each_stdin
def test_a_signal_for_the_group_reaches_the_command_and_its_own_end_counts(
    shell: tuple[str, ...], stdin: wrapper.Stdin
) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "print('up', flush=True); time.sleep(60)"
    )
    argv = wrapper.argv(shell, NONCE, [PYTHON, "-c", code], stdin=stdin)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          start_new_session=True) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"up\n"
        line = wrapper.Announcement(NONCE)
        line.feed(process.stderr.readline())
        assert line.told is not None
        subprocess.run(wrapper.kill_argv(shell, line.told.pid, "TERM"), check=True, timeout=20)
        process.stdin.close()
        assert process.wait(20) == 9


@each_shell
def test_death_by_a_signal_is_128_and_its_number(shell: tuple[str, ...]) -> None:
    assert run(shell, "sh", "-c", "kill -KILL $$", stdin=FRAMED)[0] == 128 + signal.SIGKILL
    assert run(shell, "sh", "-c", "kill -KILL $$")[0] == -signal.SIGKILL


@each_shell
def test_without_a_fitting_dd_the_input_goes_as_it_is(
    shell: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "busybox" in shell[0]:
        pytest.skip("has a dd of its own")
    (tmp_path / "dd").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "dd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    status, out, _, told = run(shell, "cat", told=b"plain", stdin=FRAMED)
    assert (status, out) == (0, b"plain") and told is not None and not told.framed


def test_the_line_is_found_in_any_pieces_and_what_was_before_it_is_kept() -> None:
    whole = b"ld.so: odd\n" + NONCE.encode() + b" 77 framed\r\nafter"
    for cut in range(len(whole)):
        line = wrapper.Announcement(NONCE)
        assert line.feed(whole[:cut]) + line.feed(memoryview(whole)[cut:]) == b"ld.so: odd\nafter"
        assert line.told == wrapper.Told(77, True) and not line.ended


def test_the_second_line_is_found_in_any_pieces() -> None:
    whole = f"{NONCE} 77 framed\nbefore{NONCE[:9]}x{NONCE} end\nafter {NONCE} end\n".encode()
    for cut in range(len(whole)):
        line = wrapper.Announcement(NONCE)
        made = line.feed(whole[:cut]) + line.feed(whole[cut:])
        assert made.decode() == f"before{NONCE[:9]}xafter {NONCE} end\n" and line.ended and line.rest() == b""


@given(st.lists(st.binary(max_size=9000), max_size=6))
@settings(max_examples=30, deadline=None)
def test_without_a_line_nothing_is_lost(pieces: list[bytes]) -> None:
    line = wrapper.Announcement(NONCE)
    assert b"".join(line.feed(piece) for piece in pieces) + line.rest() == b"".join(pieces)
    assert line.told is None
