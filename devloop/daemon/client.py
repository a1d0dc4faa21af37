"""The other end of the control socket: how `status`, `flush`, `stop` and the rest ask the watching process.

Plain blocking sockets: a command that only asks must start fast, and asyncio alone would double its time.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

from devloop import errors

VERSION: Final = 1


class NotWatchingError(errors.LocalError):
    """Nothing watches this project."""

    code = "DL0340"


class RemoteError(errors.DevloopError):
    """An error that the watching process answered with."""

    def __init__(self, message: str, *, hint: str, code: str, exit_status: int) -> None:
        super().__init__(message, hint=hint, code=code)
        # A newer devloop may answer with a status that this one does not know: a failure all the same.
        known = exit_status in errors.Exit.__members__.values()
        self.exit_status = errors.Exit(exit_status) if known else errors.Exit.ERROR


class Client:
    """A connection to the watching process, for one request.

    Args:
        path: The control socket.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def alive(self) -> bool:
        """Say whether somebody is watching."""
        try:
            self._connect(1.0).close()
        except NotWatchingError:
            return False
        return True

    def ask(self, verb: str, args: dict[str, Any] | None = None, *, timeout_s: float = 10.0) -> Any:
        """Return the result of a request.

        Args:
            verb: What is asked.
            args: Its arguments.
            timeout_s: How long the answer may take.

        Raises:
            NotWatchingError: Nobody is watching.
            RemoteError: The answer is an error.
            LocalError: The watching process does not answer.
        """
        connection = self._connect(timeout_s)
        with connection, connection.makefile("rwb") as stream:
            return self._request(stream, verb, args)

    def follow(self, *, recent: bool) -> Iterator[bytes]:
        """Yield events, a line of JSON each, until the watching process ends.

        Args:
            recent: Begin with the recent past.

        Raises:
            NotWatchingError: Nobody is watching.
        """
        connection = self._connect(10.0)
        with connection, connection.makefile("rwb") as stream:
            self._request(stream, "events", {"recent": recent})
            connection.settimeout(None)
            # A watching process that is killed ends the stream by an error, or in the middle of a line.
            with contextlib.suppress(OSError):
                for line in stream:
                    if line.endswith(b"\n"):
                        yield line.rstrip(b"\n")

    @contextlib.contextmanager
    def hold(self, verb: str, args: dict[str, Any] | None = None) -> Iterator[tuple[Any, Callable[[], None]]]:
        """Have the watching process keep something up as long as the block runs.

        Args:
            verb: What.
            args: Its arguments.

        Yields:
            The result, and what waits until the watching process ends.

        Raises:
            NotWatchingError: Nobody is watching.
            RemoteError: The answer is an error.
        """
        connection = self._connect(10.0)
        with connection, connection.makefile("rwb") as stream:
            result = self._request(stream, verb, args)
            connection.settimeout(None)

            def until_end() -> None:
                with contextlib.suppress(OSError):
                    while stream.read(1):
                        pass

            yield result, until_end

    def _connect(self, timeout_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise NotWatchingError(
                "devloop is not watching this project", hint="start it with `devloop watch`"
            ) from error
        return connection

    def _request(self, stream: Any, verb: str, args: dict[str, Any] | None) -> Any:
        try:
            stream.write(json.dumps({"v": VERSION, "verb": verb, "args": args or {}}).encode() + b"\n")
            stream.flush()
            line = stream.readline()
        except TimeoutError as error:
            raise errors.LocalError(
                f"the watching process did not answer {verb!r} in time",
                hint="see what it does with `devloop status`; `devloop stop --force` ends it",
                code="DL0341",
            ) from error
        except OSError as error:
            raise NotWatchingError("the watching process has just ended", hint="run `devloop watch`") from error
        if not line:
            raise NotWatchingError("the watching process has just ended", hint="run `devloop watch`")
        answer = json.loads(line)
        if not answer["ok"]:
            wrong = answer["error"]
            raise RemoteError(
                wrong["message"], hint=wrong["hint"], code=wrong["code"], exit_status=wrong["exit_status"]
            )
        return answer["result"]
