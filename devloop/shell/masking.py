"""What a command prints, with secret values replaced, however the bytes are cut: for logs that others read.

Only the values themselves are found, and each line of those that have several; not what the command makes of them, such
as their base64. Bytes that may be the beginning of a secret wait for what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from devloop import errors
from devloop.shell import become, choice

_CHUNK_BYTES: Final = 64 * 1024
_SIGNALS: Final = (signal.SIGHUP, signal.SIGTERM)


class Mask:
    """Replaces secret values in one stream.

    Args:
        values: The secrets; short ones are left, because they are found everywhere.
    """

    def __init__(self, values: Iterable[str]) -> None:
        found = {line for value in values for line in (value, *value.splitlines()) if len(line) >= choice.MIN_SECRET}
        # The longest first, so that one within another does not leave the rest of it to be read.
        self._secrets = sorted((each.encode("utf-8", "surrogateescape") for each in found), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets))) if self._secrets else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes, and return those that can be given out."""
        if self._pattern is None:
            return data
        whole = self._held + data
        parts: list[bytes] = []
        at = 0
        for found in self._pattern.finditer(whole):
            if self._begins(whole, found.start()):
                # A longer one may begin here: what follows decides.
                break
            parts += [whole[at : found.start()], choice.MASK.encode()]
            at = found.end()
        keep = next((start for start in range(at, len(whole)) if self._begins(whole, start)), len(whole))
        self._held = whole[keep:]
        return b"".join([*parts, whole[at:keep]])

    def _begins(self, whole: bytes, start: int) -> bool:
        """Say whether a secret may begin there that goes on after what is known."""
        known = len(whole) - start
        return any(len(each) > known and each.startswith(whole[start:]) for each in self._near(known))

    def _near(self, known: int) -> Iterator[bytes]:
        for each in self._secrets:
            if len(each) <= known:
                return
            yield each

    def rest(self) -> bytes:
        """Return what is kept back: nothing more comes."""
        whole, self._held = self._held, b""
        return self._pattern.sub(choice.MASK.encode(), whole) if self._pattern is not None else whole


async def run(here: become.Here, values: Iterable[str]) -> int:
    """Run a command with its two outputs masked, and return its exit status, 128 and the number for a signal.

    Standard input is the command's own. It is in this process's group, so Ctrl-C reaches it by itself.

    Args:
        here: The command.
        values: The secrets.

    Raises:
        NotRunError: It cannot be started.
    """
    secrets = tuple(values)
    loop = asyncio.get_running_loop()
    try:
        process = await asyncio.create_subprocess_exec(
            *here.argv,
            env=here.env,
            cwd=here.cwd or None,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise become.missing(here.argv[0]) from None
    except OSError as error:
        raise errors.NotRunError(f"{here.argv[0]} cannot be run: {error.strerror}") from None
    assert process.stdout is not None and process.stderr is not None
    # The terminal sends it to both; what becomes of it is the command's to say.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    for number in _SIGNALS:
        loop.add_signal_handler(number, _send, process, number)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(process.stdout, sys.stdout.buffer, Mask(secrets)))
            group.create_task(_pump(process.stderr, sys.stderr.buffer, Mask(secrets)))
            status = await process.wait()
    finally:
        for number in (signal.SIGINT, *_SIGNALS):
            loop.remove_signal_handler(number)
    return status if status >= 0 else 128 - status


async def _pump(reader: asyncio.StreamReader, out: BinaryIO, mask: Mask) -> None:
    """Carry one stream; when nobody reads any more it is read on, so that the command does not hang."""
    while data := await reader.read(_CHUNK_BYTES):
        _write(out, mask.feed(data))
    _write(out, mask.rest())


def _write(out: BinaryIO, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        out.write(data)
        out.flush()


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
