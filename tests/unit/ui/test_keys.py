"""Keys are read from a terminal, and the terminal is given back."""

from __future__ import annotations

import asyncio
import os
import pty
import termios
from collections.abc import Iterator

import pytest

from devloop.ui import keys


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (b"a", ["approve"]),
        (b"prfdq?h", ["pause", "restart", "flush", "diff", "quit", "help", "help"]),
        (b"A", ["approve"]),
        (b"\x03", ["quit"]),
        (b"xyz \n", []),
        (b"\x1b[A", []),  # an arrow: the A in it is no key
        (b"\x1b[200~pa", []),
        (b"a\x1bOP", ["approve"]),
        (b"\xff\x00", []),
        (b"", []),
    ],
)
def test_what_the_keys_mean(raw: bytes, names: list[str]) -> None:
    assert keys.decode(raw) == names


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the user's end and the program's."""
    user, program = pty.openpty()
    yield user, program
    os.close(program)
    os.close(user)


@pytest.fixture
def _foreground(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests' terminal is not the one that this process is controlled by.
    monkeypatch.setattr(keys, "_is_foreground", lambda fd: True)


def is_reading(keyboard: keys.Keyboard) -> bool:
    return keyboard.active


def is_cooked(fd: int) -> bool:
    return bool(termios.tcgetattr(fd)[3] & termios.ICANON)


@pytest.mark.usefixtures("_foreground")
async def test_keys_are_handed_on_until_the_keyboard_is_closed(terminal: tuple[int, int]) -> None:
    user, program = terminal
    pressed: asyncio.Queue[str] = asyncio.Queue()
    before = termios.tcgetattr(program)
    keyboard = keys.Keyboard(program, pressed.put_nowait)
    assert is_reading(keyboard)
    assert not is_cooked(program)
    assert termios.tcgetattr(program)[3] & termios.ISIG
    os.write(user, b"xa")
    async with asyncio.timeout(5):
        assert await pressed.get() == "approve"
    keyboard.close()
    keyboard.close()
    assert termios.tcgetattr(program) == before
    assert not is_reading(keyboard)
    os.write(user, b"q\n")
    await asyncio.sleep(0)
    assert pressed.empty()


@pytest.mark.usefixtures("_foreground")
async def test_a_suspended_keyboard_goes_on_when_it_is_resumed(terminal: tuple[int, int]) -> None:
    user, program = terminal
    pressed: asyncio.Queue[str] = asyncio.Queue()
    keyboard = keys.Keyboard(program, pressed.put_nowait)
    keyboard.suspend()
    assert is_cooked(program)
    keyboard.resume()
    keyboard.resume()
    assert not is_cooked(program)
    os.write(user, b"f")
    async with asyncio.timeout(5):
        assert await pressed.get() == "flush"
    keyboard.close()
    assert is_cooked(program)


@pytest.mark.usefixtures("_foreground")
async def test_a_terminal_that_goes_away_ends_the_reading(terminal: tuple[int, int]) -> None:
    user, program = pty.openpty()
    keyboard = keys.Keyboard(program, lambda name: None)
    os.close(user)
    async with asyncio.timeout(5):
        while keyboard.active:
            await asyncio.sleep(0)
    os.close(program)


async def test_in_the_background_the_terminal_is_left_alone(terminal: tuple[int, int]) -> None:
    _, program = terminal
    keyboard = keys.Keyboard(program, lambda name: None)
    assert not is_reading(keyboard)
    assert is_cooked(program)
    keyboard.close()


async def test_what_is_no_terminal_is_left_alone(tmp_path: object) -> None:
    read, write = os.pipe()
    keyboard = keys.Keyboard(read, lambda name: None)
    assert not is_reading(keyboard)
    keyboard.close()
    os.close(read)
    os.close(write)
