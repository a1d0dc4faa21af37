"""The live view on a terminal that is recorded."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from typing import IO, cast

import pytest
from rich.console import Console

from devloop.sync import events
from devloop.ui import live
from tests.fakes import scenario
from tests.unit.ui.terminal import Terminal

NOW = 1000.0


class Recorded(Terminal):
    """Counts the writes, and wakes who waits for one."""

    def __init__(self, columns: int = 100, rows: int = 30) -> None:
        super().__init__(columns, rows)
        self.writes = 0
        self.raw = ""
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        if not text:
            return 0
        self.writes += 1
        self.raw += text
        self.written.set()
        return super().write(text)


def view_on(
    terminal: Recorded, on_key: Callable[[str], None] = lambda name: None, color: bool = False
) -> live.LiveView:
    console = Console(
        file=cast(IO[str], terminal),
        force_terminal=True,
        width=terminal.columns,
        height=terminal.rows,
        color_system="standard" if color else None,
    )
    return live.LiveView(console, on_key, clock=lambda: NOW)


async def drawn(terminal: Recorded) -> None:
    terminal.written.clear()
    async with asyncio.timeout(5):
        await terminal.written.wait()


def waits(view: live.LiveView) -> bool:
    """Say whether it is going to draw."""
    return view._timer is not None


def output(*lines: str) -> events.Output:
    return events.Output(service="web", source="app", lines=lines)


@pytest.mark.parametrize(("columns", "rows"), [(100, 30), (60, 20), (20, 6)])
async def test_a_day_leaves_its_log_and_no_panel(columns: int, rows: int) -> None:
    terminal = Recorded(columns, rows)
    view = view_on(terminal)
    for _, event in scenario.play():
        view.show(event)
    view.close()
    view.close()
    shown = terminal.shown()
    assert "web  app.py  4 ms" in shown
    assert "web | cleared?" in shown
    assert "web | progress 100 %" in shown
    assert not any(line.startswith(("──", "✓", "↻")) for line in shown)
    assert terminal.cursor_shown
    assert "\x1b]" not in terminal.raw
    assert "\x1b[2J" not in terminal.raw


async def test_the_panel_is_below_what_happened() -> None:
    terminal = Recorded()
    view = view_on(terminal)
    view.show(events.ProjectStarted(project="shop", folder="/p", services=("web", "api"), pid=1))
    view.show(events.SyncComplete(service="web", files=1, deletes=0, total_bytes=1, ms=4.0))
    view.show(output("hello"))
    await drawn(terminal)
    assert terminal.shown() == [
        "watching shop in /p: web, api",
        "web  1 file, 1 B  4 ms",
        "web | hello",
        "── shop " + "─" * 91,
        "✓ web  in sync · 4 ms",
        "… api  starting",
        "a approve  p pause  r restart  f flush  d diff  ? help  q quit",
    ]
    view.close()


async def test_many_events_are_drawn_at_once_and_nothing_is_drawn_without_any() -> None:
    terminal = Recorded()
    view = view_on(terminal)
    await drawn(terminal)
    for number in range(400):
        view.show(output(f"line {number}"))
    assert terminal.writes == 1
    await drawn(terminal)
    assert terminal.writes == 2
    assert not waits(view)
    view.close()


async def test_the_countdown_alone_keeps_it_drawing() -> None:
    terminal = Recorded()
    view = view_on(terminal)
    view.show(events.LinkChanged(service="web", target="pod", up=False, retry_s=9.0, time=NOW))
    await drawn(terminal)
    assert waits(view)
    view.show(events.LinkChanged(service="web", target="pod", up=True, time=NOW))
    await drawn(terminal)
    assert not waits(view)
    view.close()


async def test_a_flood_is_cut_and_counted() -> None:
    terminal = Recorded()
    view = view_on(terminal)
    for number in range(live.MAX_LINES + 20):
        view.show(output(f"line {number}"))
    await drawn(terminal)
    assert terminal.shown()[0] == "… 20 lines not shown: too many at once"
    assert terminal.shown()[1] == "web | line 20"
    view.close()


async def test_the_apps_colours_are_kept() -> None:
    terminal = Recorded()
    view = view_on(terminal, color=True)
    view.show(output("\x1b[31mred\x1b[0m \x1b[2Jplain [bold]no markup[/bold] :smile:"))
    view.close()
    assert "\x1b[31mred" in terminal.raw
    assert terminal.shown() == ["web | red plain [bold]no markup[/bold] :smile:"]


async def test_help_is_shown_and_the_other_keys_are_handed_on() -> None:
    terminal = Recorded()
    pressed: list[str] = []
    view = view_on(terminal, pressed.append)
    for name in ("approve", "help", "quit"):
        view._pressed(name)
    view.close()
    assert pressed == ["approve", "quit"]
    assert "a  let held deletions go" in terminal.shown()


async def test_what_is_said_stands_above_the_panel() -> None:
    terminal = Recorded()
    view = view_on(terminal)
    view.say("everything is in the target")
    await drawn(terminal)
    assert terminal.shown()[0] == "everything is in the target"
    view.close()


async def test_after_it_is_closed_nothing_is_drawn() -> None:
    terminal = Recorded()
    view = view_on(terminal)
    view.close()
    writes = terminal.writes
    view.show(output("late"))
    view.say("later")
    assert not waits(view)
    assert terminal.writes == writes


@pytest.mark.parametrize("end", [b"q", signal.SIGINT])
def test_on_a_real_terminal_keys_work_and_the_terminal_is_given_back(end: bytes | signal.Signals) -> None:
    """A process of its own, whose controlling terminal is a pseudo-terminal."""
    user, program = pty.openpty()
    before = termios.tcgetattr(program)
    command = [sys.executable, "-m", "tests.fakes.scenario", "live", "--speed", "200", "--stay"]
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        command,
        stdin=program,
        stdout=program,
        stderr=subprocess.PIPE,
        env=environ,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        seen = b""
        while b"orders.py" not in seen:
            seen += os.read(user, 65536)
        assert not termios.tcgetattr(program)[3] & termios.ICANON
        os.write(user, end if isinstance(end, bytes) else b"\x03")
        # The terminal must be drained, or the process would wait for it.
        while b"\x1b[?25h" not in seen:
            seen += os.read(user, 65536)
        process.wait(20)
    assert termios.tcgetattr(program) == before
    os.close(user)
    os.close(program)


async def test_a_flood_of_a_pods_log_leaves_room_for_the_rest() -> None:
    terminal = Recorded()
    view = view_on(terminal)
    view.show(output("said"))
    lines = tuple(f"line {number}" for number in range(live.MAX_LOG_LINES + 20))
    for _ in range(2):
        view.show(events.Output(service="web", source="log", pod="web-0", container="app", lines=lines))
    await drawn(terminal)
    lost = len(lines) * 2 - live.MAX_LOG_LINES
    assert terminal.shown()[0] == f"… {lost} lines not shown: too many at once"
    assert terminal.shown()[1:3] == ["web | said", "web-0 app | line 20"]
    view.close()
