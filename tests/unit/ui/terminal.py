"""A terminal that interprets what the live view writes: enough of ECMA-48 for it, and an error for anything else."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Terminal:
    """A screen with scrollback.

    Args:
        columns: Its width.
        rows: Its height.
    """

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns = columns
        self.rows = rows
        self.lines = [""]
        self.row = 0
        self.column = 0
        self.cursor_shown = True

    def write(self, text: str) -> int:
        """Take what was written."""
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            assert found, f"not understood: {text[position : position + 20]!r}"
            position = found.end()
            private, parameters, final, control, words = found.groups()
            if final:
                self._sequence(private, parameters, final)
            elif control == "\r":
                self.column = 0
            elif control:
                self._down()
                self.column = 0
            else:
                self._print(words)
        return len(text)

    def flush(self) -> None:
        """Do nothing: everything is there at once."""

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True

    def shown(self) -> list[str]:
        """Return every line, the scrollback included, without trailing spaces and empty lines."""
        found = [line.rstrip() for line in self.lines]
        while found and not found[-1]:
            found.pop()
        return found

    def _sequence(self, private: str, parameters: str, final: str) -> None:
        if final == "m":
            return
        if private:
            assert parameters == "25", parameters
            self.cursor_shown = final == "h"
        elif final == "A":
            self.row -= int(parameters)
            assert self.row >= max(0, len(self.lines) - self.rows), "moves above the screen"
        else:
            assert (final, parameters) == ("J", ""), (final, parameters)
            del self.lines[self.row + 1 :]
            self.lines[self.row] = self.lines[self.row][: self.column]

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _print(self, words: str) -> None:
        for character in words:
            if self.column == self.columns:
                self._down()
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1
