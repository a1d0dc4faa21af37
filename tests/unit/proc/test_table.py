"""What the system says of processes."""

import os
import subprocess

import pytest

from devloop.proc import table


def test_a_name_with_blanks_and_parentheses_does_not_shift_the_fields() -> None:
    raw = b"42 (a) Z (b)) S 1 40 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2\n"
    assert table.parse_stat(raw) == table.Seen(42, 40, 41, "98765", False)


@pytest.mark.parametrize("state", [b"Z", b"X"])
def test_a_process_that_waits_to_be_reaped_is_a_zombie(state: bytes) -> None:
    assert table.parse_stat(b"42 (a) " + state + b" 1 40 41" + b" 0" * 20).zombie


def test_a_process_whose_first_thread_ended_is_none() -> None:
    raw = b"42 (a) Z 1 40 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 98765 1 2\n"
    assert not table.parse_stat(raw).zombie


def test_this_process_is_seen_as_the_system_calls_tell_it() -> None:
    seen = table.look(os.getpid())
    assert seen is not None
    assert (seen.pid, seen.group, seen.session) == (os.getpid(), os.getpgrp(), os.getsid(0))
    assert seen in table.members(os.getpgrp())


def test_a_process_that_does_not_exist_is_not_seen() -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    assert table.look(done.pid) is None


def test_the_boot_has_a_name() -> None:
    assert len(table.boot_id()) >= 8
    assert table.boot_id() == table.boot_id()


def test_the_lines_of_ps_are_understood() -> None:
    text = "    1     1 Ss   Thu Jan  1 00:00:01 2026    \n  420   400 Z+   Fri Feb 13 10:11:12 2026\n\n"
    assert table.parse_ps(text) == [
        table.Seen(1, 1, 0, "Thu Jan  1 00:00:01 2026", False),
        table.Seen(420, 400, 0, "Fri Feb 13 10:11:12 2026", True),
    ]


def test_where_there_is_no_proc_ps_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def answer(argv: list[str]) -> str:
        asked.append(argv)
        return "7 7 S Fri Feb 13 10:11:12 2026\n8 7 S Fri Feb 13 10:11:13 2026\n9 9 S Fri Feb 13 10:11:13 2026\n"

    monkeypatch.setattr(table, "_has_proc", lambda: False)
    monkeypatch.setattr(table, "_run", answer)
    assert [seen.pid for seen in table.members(7)] == [7, 8]
    assert table.look(7) == table.Seen(7, 7, 0, "Fri Feb 13 10:11:12 2026", False)
    assert asked == [
        ["ps", "-A", "-o", "pid=,pgid=,stat=,lstart="],
        ["ps", "-p", "7", "-o", "pid=,pgid=,stat=,lstart="],
    ]
