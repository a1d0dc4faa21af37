"""The few lines of shell around a command in a container, for what Kubernetes' exec cannot do by itself.

Exec can neither signal a command nor, with its old protocol, end the command's standard input. So the command is run by
a shell, the image's own `sh` or the busybox of the tools volume, which first says its process id, in one line that is
cut out of the output here, and then becomes the command. A second exec can signal that process group: a runtime gives
each exec a session of its own.

Where the end of standard input cannot be told, it is sent in pieces, each after a line with its size; the shell takes
them apart with `dd`, and size 0 is the end. That needs a `dd` that knows `fullblock`, as GNU's and busybox's do; where
there is none, the shell says so and the input goes as it is.

Pure: makes command lines, takes bytes apart.
"""

from __future__ import annotations

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
# The reader's process id goes first through the pipe, so that it can be ended when the command has: it would wait for
# input for ever, and the shell for it. Everything is this shell's child or grandchild and is waited for, so no zombies
# are left to a first process that does not reap. Signals go to the whole group; the shells catch and ignore them, and
# what they start has them as they were.
_FRAMED: Final = """\
if [ "$(echo ab | dd bs=3 count=1 iflag=fullblock 2>/dev/null)" != ab ]; then
    echo "$nonce $$ raw" >&2
    exec "$@"
fi
echo "$nonce $$ framed" >&2
trap : HUP INT QUIT TERM
exec 3<&0
$SHELL_WORDS -c '
    echo $$
    exec 2>/dev/null
    while read -r size <&3 && [ "$size" -gt 0 ]; do
        dd bs="$size" count=1 iflag=fullblock <&3 3<&- &
        piece=$!
        trap "kill $piece; wait; exit" TERM
        wait "$piece" || exit
        trap - TERM
    done' devloop | {
    trap : HUP INT QUIT TERM
    exec 3<&- 4>&2 2>/dev/null
    read -r reader
    (exec "$@" 2>&4 4>&-)
    status=$?
    kill "$reader"
    exit "$status"
}
"""

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


def argv(
    shell: Sequence[str], nonce: str, command: Sequence[str], *, folder: str = "", framed: bool = False
) -> tuple[str, ...]:
    """Return the command line that runs a command and announces it.

    Args:
        shell: The shell's own words, such as `("sh",)`.
        nonce: Hexadecimal; begins the line that says the process id.
        command: The command and its arguments.
        folder: Where to run it, if it is there; empty for the container's own.
        framed: Its standard input comes in pieces; see `frame`.
    """
    assert _NONCE.fullmatch(nonce) and command
    script = _BEGIN + (_FRAMED.replace("$SHELL_WORDS", " ".join(shell)) if framed else _PLAIN)
    return (*shell, "-c", script, "devloop", nonce, folder, *command)


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
    """Takes the shell's line out of the stream that it comes in.

    Args:
        nonce: As it was given to `argv`.
    """

    def __init__(self, nonce: str) -> None:
        # A terminal makes of each line's end two characters.
        self._line = re.compile(rb"%b (?:(\d{1,10})( framed| raw)?|missing)\r?\n" % nonce.encode())
        self._held = bytearray()
        self.told: Told | None = None

    def feed(self, data: bytes | memoryview) -> bytes:
        """Take bytes, and return those that are not the shell's.

        Until the line has come, they are kept back, and given out before what comes after it.
        """
        if self.told is not None:
            return bytes(data)
        self._held += data
        found = self._line.search(self._held)
        if found is not None:
            self.told = Told(int(found[1] or 0), found[2] == b" framed")
            kept = bytes(self._held[: found.start()] + self._held[found.end() :])
            self._held.clear()
            return kept
        if len(self._held) > MAX_BEFORE_BYTES:
            return self.rest()
        return b""

    def rest(self) -> bytes:
        """Return what is kept back: nothing more comes."""
        kept = bytes(self._held)
        self._held.clear()
        return kept
