"""The view on a terminal: what happened scrolls by above, how things stand is in a small panel below.

Drawn at most ten times a second and only when something changed; while a link is down, once a second for the countdown.
The only importer of rich, and only imported when it is used. Keys are handed to whoever made the view.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console
from rich.style import Style
from rich.text import Text

from devloop.sync import events
from devloop.ui import escapes, keys, narrator, panel, podlines, screen, style

# Between two drawings.
INTERVAL_S: Final = 0.1

# Lines that one drawing prints at most: more than that is not read, and a flood must not stop the rest.
MAX_LINES: Final = 500
MAX_LOG_LINES: Final = 100

_STYLES: Final = {
    style.Tone.PLAIN: Style(),
    style.Tone.DIM: Style(dim=True),
    style.Tone.BOLD: Style(bold=True),
    style.Tone.GOOD: Style(color="green"),
    style.Tone.WARNING: Style(color="yellow"),
    style.Tone.BAD: Style(color="red"),
    style.Tone.HINT: Style(color="cyan"),
}


class LiveView:
    """Draws on a terminal. Must be made, used and closed in the event loop's thread.

    Args:
        console: Where to draw.
        on_key: Called with `approve`, `pause`, `restart`, `flush`, `diff` or `quit`; `help` is the view's own. `pause`
            means to go on where it is paused.
        keyboard_fd: Where keys come from; None for none.
        clock: Seconds since the epoch.
    """

    is_threaded = False

    def __init__(
        self,
        console: Console,
        on_key: Callable[[str], None],
        *,
        keyboard_fd: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._on_key = on_key
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._panel = panel.Panel()
        self._narrator = narrator.Narrator()
        self._lines: deque[narrator.Line] = deque(maxlen=MAX_LINES)
        self._lost = 0
        self._drawn_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._screen = screen.Screen(console)
        self._keyboard = keys.Keyboard(keyboard_fd, self._pressed) if keyboard_fd is not None else None
        self._signals = self._listen()
        self._schedule()

    def show(self, event: events.Event) -> None:
        """Take an event up; it is drawn within a tenth of a second."""
        lines = self._narrator.tell(event)
        if isinstance(event, events.Output) and event.pod:
            # Drawing is what costs: a log that nobody could read at this speed is not drawn whole.
            room = max(0, MAX_LOG_LINES - sum(1 for line in self._lines if line.label))
            self._lost += max(0, len(lines) - room)
            lines = lines[len(lines) - min(room, len(lines)) :]
        if len(self._lines) + len(lines) > MAX_LINES:
            self._lost += len(self._lines) + len(lines) - MAX_LINES
        self._lines.extend(lines)
        if self._panel.take(event) or lines:
            self._schedule()

    def say(self, text: str, tone: style.Tone = style.Tone.PLAIN) -> None:
        """Print one line above the panel, such as the answer to a key."""
        self._lines.append(narrator.Line(text, tone=tone))
        self._schedule()

    def close(self) -> None:
        """Print what is left, take the panel away and give the terminal back. Calling it again does nothing."""
        if self._closed:
            return
        self._draw()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for number in self._signals:
            self._loop.remove_signal_handler(number)
        if self._keyboard is not None:
            self._keyboard.close()
        self._screen.clear()

    # ---- drawing ----------------------------------------------------------------------------------------------------

    def _schedule(self, delay_s: float = 0.0) -> None:
        """Draw soon, unless it is arranged already to happen no later."""
        if self._closed:
            return
        at_s = max(self._loop.time() + delay_s, self._drawn_at_s + INTERVAL_S)
        if self._timer is not None:
            if self._timer.when() <= at_s:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at_s, self._draw)

    def _draw(self) -> None:
        self._timer = None
        if self._closed:
            return
        self._drawn_at_s = self._loop.time()
        log = self._take_lines()
        rows = self._panel.rows
        spans = self._panel.lines(self._screen.width, self._clock())
        self._screen.draw(log, [_joined(line, rows) for line in spans])
        if self._panel.counts_down():
            self._schedule(1.0)

    def _take_lines(self) -> list[Text]:
        texts = [self._line(line) for line in self._lines]
        if self._lost:
            lost = narrator.counted(self._lost, "line")
            texts.insert(0, Text(f"… {lost} not shown: too many at once", style=_STYLES[style.Tone.DIM]))
        self._lines.clear()
        self._lost = 0
        return texts

    def _line(self, line: narrator.Line) -> Text:
        label = f"{line.service} {line.source}" if line.source not in {"", narrator.APP} else line.service
        found = Text(
            line.label or escapes.name(label), style=_service_style(podlines.colour_of(line.label) or line.service)
        )
        if line.kind is narrator.Kind.OUTPUT:
            return found.append(" | ", style=_STYLES[style.Tone.DIM]).append_text(_foreign(line.text))
        if label:
            found.append("  ")
        found.append(line.text, style=_STYLES[line.tone])
        if line.kind is narrator.Kind.SAVE and line.ms is not None:
            found.append(f"  {narrator.ms_told(line.ms)}", style=_STYLES[style.Tone.GOOD])
        return found

    # ---- keys and signals -------------------------------------------------------------------------------------------

    def _pressed(self, name: str) -> None:
        if name == "help":
            for key, _, told in panel.HELP:
                self.say(f"{key}  {told}", style.Tone.HINT)
            return
        self._on_key(name)

    def _listen(self) -> list[int]:
        """Follow the terminal's size and Ctrl-Z, where signals can be heard: in the main thread."""
        heard: list[int] = []
        wanted = [(signal.SIGWINCH, self._resized)]
        if self._keyboard is not None:
            wanted += [(signal.SIGTSTP, self._suspend), (signal.SIGCONT, self._continue)]
        with contextlib.suppress(ValueError, RuntimeError):
            for number, handler in wanted:
                self._loop.add_signal_handler(number, handler)
                heard.append(number)
        return heard

    def _resized(self) -> None:
        self._schedule()

    def _suspend(self) -> None:
        """Ctrl-Z: give the terminal back, and stop as the shell expects it."""
        if self._keyboard is not None:
            self._keyboard.suspend()
        self._screen.clear()
        self._loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)

    def _continue(self) -> None:
        """Back again: take the terminal where we are in the foreground."""
        self._loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        if self._closed:
            return
        if self._keyboard is not None:
            self._keyboard.resume()
        self._schedule()


def _joined(spans: Sequence[panel.Span], rows: dict[str, panel.Row]) -> Text:
    found = Text()
    for text, tone in spans:
        name = text.rstrip()
        found.append(text, style=_service_style(name) if name in rows else _STYLES[tone])
    return found


def _foreign(line: str) -> Text:
    """Return what somebody else printed, with its colours and nothing else."""
    safe = escapes.coloured(line)
    return Text.from_ansi(safe) if "\x1b" in safe else Text(safe)


def _service_style(service: str) -> Style:
    if not service:
        return Style()
    return Style(color=style.SERVICE_COLOUR_NAMES[style.service_colour(service)])


def open_on_terminal(on_key: Callable[[str], None], *, color: bool) -> LiveView:
    """Return the live view on this process's terminal: drawn on stdout, keys from stdin.

    Args:
        on_key: As `LiveView`.
        color: With colours.
    """
    console = Console(no_color=not color, highlight=False, markup=False, emoji=False)
    return LiveView(console, on_key, keyboard_fd=0 if os.isatty(0) else None)
