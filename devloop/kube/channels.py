"""Channels within a websocket, as the kubelet frames them: the first byte of each message is the channel's number.

Pure. For a port-forward of one port channel 0 carries its data and channel 1 the words of an error; each begins with
the port's number, two bytes, the low one first (k8s.io/kubelet, `cri-streaming/pkg/streaming/portforward`). For a
command 0 to 2 are its standard streams, 3 is how it ended, 4 the size of its terminal (k8s.io/apimachinery,
`remotecommand`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from devloop import errors

DATA: Final = 0
ERROR: Final = 1
STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
STATUS: Final = 3
RESIZE: Final = 4
CLOSE: Final = 255
"""With `v5.channel.k8s.io`: the stream whose number follows has ended."""

V4: Final = "v4.channel.k8s.io"
V5: Final = "v5.channel.k8s.io"

_HEAD_BYTES: Final = 2


class Piece(msgspec.Struct, frozen=True):
    """What one message carries.

    Attributes:
        channel: Where it belongs.
        data: May be empty.
    """

    channel: int
    data: memoryview


def piece(message: bytes) -> Piece:
    """Take a message apart.

    Raises:
        ForwardError: It is empty, so it belongs to no channel.
    """
    if not message:
        raise errors.ForwardError("the API server sent a message without a channel")
    return Piece(message[0], memoryview(message)[1:])


def stdin(data: bytes | memoryview) -> bytes:
    """Return the message with bytes for a command's standard input."""
    return b"".join((bytes((STDIN,)), data))


def end_of_stdin() -> bytes:
    """Return the message that ends a command's standard input; only `V5` knows it (client-go, `websocket.go`)."""
    return bytes((CLOSE, STDIN))


def resize(columns: int, rows: int) -> bytes:
    """Return the message with the size of a command's terminal (client-go, `TerminalSize`).

    Args:
        columns: Its width in characters, at most 65535.
        rows: Its height.
    """
    return bytes((RESIZE,)) + msgspec.json.encode({"Width": columns, "Height": rows})


class PortChannels:
    """The two channels of a port-forward of one port.

    Args:
        port: The port that was asked for.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._heads = {DATA: bytearray(), ERROR: bytearray()}

    @property
    def begun(self) -> bool:
        """Whether both channels have named their port."""
        return all(len(head) == _HEAD_BYTES for head in self._heads.values())

    def feed(self, message: bytes) -> Piece:
        """Take a message apart; the heads of the channels are left out, however the messages cut them.

        Raises:
            ForwardError: It is not of this port-forward.
        """
        found = piece(message)
        head = self._heads.get(found.channel)
        if head is None:
            raise errors.ForwardError(f"the API server used channel {found.channel}, which the port-forward has not")
        lacking = _HEAD_BYTES - len(head)
        if lacking == 0:
            return found
        head += found.data[:lacking]
        if len(head) == _HEAD_BYTES and int.from_bytes(head, "little") != self._port:
            raise errors.ForwardError(
                f"the API server forwards port {int.from_bytes(head, 'little')}, not {self._port} as asked for"
            )
        return Piece(found.channel, found.data[lacking:])
