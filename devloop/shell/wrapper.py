"""The few lines of shell around a command in a container, for what Kubernetes' exec cannot do by itself.

Exec can neither signal a command nor, with its old protocol, end the command's standard input. So the command is run by
a shell, the image's own `sh` or the busybox of the tools volume, which first says its process id, in one line that is
cut out of the output here, and then becomes the command. A second exec can signal that process group: a runtime gives
each exec a session of its own.

Where a command gets input, the shell stays beside it and says in another line that it has ended: see `Stdin`. Where the
end of standard input cannot be told, it is sent in pieces, each after a line with its size; the shell takes
them apart with `dd`, and size 0 is the end. That needs a `dd` that knows `fullblock`, as GNU's and busybox's do; where
there is none, the shell says so and the input goes as it is.

Pure: makes command lines, takes bytes apart.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Final

import msgspec

_NONCE: Final = re.compile("[0-9a-f]{8,64}")
# How much may come before the announcement: what a loader or a shell complains about.
MAX_BEFORE_BYTES: Final = 16 * 1024

# $1 is the nonce, $2 the folder, the rest the command. A missing program is told by the line, so that nobody has to
# tell a shell's own 127 from the command's. What exists and cannot be executed is left to `exec`, which says why.
_BEGIN: Final = """\
nonce=$1 folder=$2
shift 2
if [ "$folder" ]; then cd "$folder" 2>/dev/null || echo "devloop: there is no folder $folder here" >&2; fi
if ! command -v "$1" >/dev/null 2>&1 && ! [ -e "$1" ]; then echo "$nonce missing" >&2; exit 127; fi
"""
_PLAIN: Final = """\
echo "$nonce $$" >&2
exec "$@"
"""
# Both of these say when the command has ended, and take the rest of the input up to its end, which it then gets: a
# connection that is closed while bytes are on their way to it is reset, and a reset loses the exit status. Everything
# is this shell's child or grandchild and is waited for, so no zombies are left to a first process that does not reap.
# Signals go to the whole group; the shells catch and ignore them, and what they start has them as they were.
_RUN: Final = """\
trap : HUP INT QUIT TERM
exec 4>&2 2>/dev/null
(exec "$@" 2>&4 4>&-)
status=$?
echo "$nonce end" >&4
"""
_ENDED: Final = (
    """\
echo "$nonce $$" >&2
"""
    + _RUN
    + """\
cat >/dev/null || while read -r line; do :; done
exit "$status"
"""
)
# Each piece is read whole before any of it is written, so whatever becomes of it the next thing is a line again. After
# the command's end nobody takes the pieces, and `dd` is told so by a signal or an error.
_FRAMED: Final = (
    """\
if [ "$(echo ab | dd bs=3 count=1 iflag=fullblock 2>/dev/null)" != ab ]; then
    echo "$nonce $$ raw" >&2
    exec "$@"
fi
echo "$nonce $$ framed" >&2
trap : HUP INT QUIT TERM
{
    exec 2>/dev/null
    trap "" HUP INT PIPE QUIT TERM
    while read -r size && [ "$size" -gt 0 ]; do
        dd bs="$size" count=1 iflag=fullblock
    done
} | {
"""
    + _RUN
    + """\
exit "$status"
}
"""
)

END: Final = b"0\n"
"""What ends a framed standard input."""


class Told(msgspec.Struct, frozen=True):
    """What the shell said of itself.

    Attributes:
        pid: The command's process, and its process group; 0 where there is no such program.
        framed: Its standard input is taken apart.
    """

    pid: int
    framed: bool = False


class Stdin(enum.Enum):
    """How a command gets its standard input."""

    PLAIN = "plain"
    """As it is, or not at all: the command takes the shell's place."""
    ENDED = "ended"
    """As it is, and the command's end is told before the connection's."""
    FRAMED = "framed"
    """The same, in pieces, because its end cannot be told otherwise."""


_SCRIPTS: Final = {Stdin.PLAIN: _PLAIN, Stdin.ENDED: _ENDED, Stdin.FRAMED: _FRAMED}


def argv(
    shell: Sequence[str], nonce: str, command: Sequence[str], *, folder: str = "", stdin: Stdin = Stdin.PLAIN
) -> tuple[str, ...]:
    """Return the command line that runs a command and announces it.

    Args:
        shell: The shell's own words, such as `("sh",)`.
        nonce: Hexadecimal; begins the line that says the process id.
        command: The command and its arguments.
        folder: Where to run it, if it is there; empty for the container's own.
        stdin: How it gets its standard input; for pieces see `frame`.
    """
    assert _NONCE.fullmatch(nonce) and command
    return (*shell, "-c", _BEGIN + _SCRIPTS[stdin], "devloop", nonce, folder, *command)


def kill_argv(shell: Sequence[str], pid: int, name: str) -> tuple[str, ...]:
    """Return the command line that signals a process group.

    Args:
        shell: As for `argv`.
        pid: What `Told` says.
        name: The signal without SIG, such as `TERM`.
    """
    # Where it left its group, the process itself is meant.
    return (*shell, "-c", 'kill -"$1" -"$2" 2>/dev/null || kill -"$1" "$2"', "devloop", name, str(pid))


def frame(data: bytes) -> bytes:
    """Return a piece of standard input as the shell expects it."""
    return b"%d\n%s" % (len(data), data)


class Announcement:
    """Takes the shell's lines out of the stream that they come in.

    Args:
        nonce: As it was given to `argv`.

    Attributes:
        told: What the first line said; None before it came.
        ended: The command has ended, and the shell waits for the end of its input.
    """

    def __init__(self, nonce: str) -> None:
        # A terminal makes of each line's end two characters.
        self._line = re.compile(rb"%b (?:(\d{1,10})( framed| raw)?|missing)\r?\n" % nonce.encode())
        self._end = f"{nonce} end\n".encode()
        self._held = b""
        self.told: Told | None = None
        self.ended = False

    def feed(self, data: bytes | memoryview) -> bytes:
        """Take bytes, and return those that are not the shell's.

        What may be the shell's is kept back, and given out before what comes after it.
        """
        whole, self._held = b"".join((self._held, data)), b""
        if self.told is None:
            found = self._line.search(whole)
            if found is None:
                if len(whole) > MAX_BEFORE_BYTES:
                    return whole
                self._held = whole
                return b""
            self.told = Told(int(found[1] or 0), found[2] == b" framed")
            return whole[: found.start()] + self._after(whole[found.end() :])
        return self._after(whole)

    def _after(self, whole: bytes) -> bytes:
        if self.ended:
            return whole
        before, end, after = whole.partition(self._end)
        if end:
            self.ended = True
            return before + after
        keep = next((size for size in range(len(self._end) - 1, 0, -1) if whole.endswith(self._end[:size])), 0)
        self._held = whole[len(whole) - keep :]
        return whole[: len(whole) - keep]

    def rest(self) -> bytes:
        """Return what is kept back: nothing more comes."""
        kept, self._held = self._held, b""
        return kept
