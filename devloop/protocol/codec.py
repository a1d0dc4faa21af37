"""Frames: a sequence number and one message.

    4 bytes   sequence number, big-endian, counted per direction from 0, wrapping around
    the rest  one message, a msgpack array that begins with the message's tag

The transport below keeps the borders of frames. The sequence number tells a lost, repeated or reordered frame,
which a transport must not produce, from a good one. Whatever bytes come in, decoding gives a message of the
catalogue with every field of its type, or raises `RemoteProtocolError`.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from devloop import errors
from devloop.protocol import messages

MAX_FRAME_BYTES: Final = 256 * 1024
"""On a link of 10 Mbit/s such a frame takes 0.2 s: the most that anything urgent waits for it."""

MAX_STRANGER_FRAME_BYTES: Final = 4 * 1024
"""The bound until the peer has proved itself; its two messages before that take under 200 bytes."""

_SEQUENCE: Final = struct.Struct(">I")
_SEQUENCE_MODULUS: Final = 1 << 32

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(messages.Message)


def encode(message: messages.Message) -> bytes:
    """Return a message's part of a frame: everything but the sequence number.

    Raises:
        LocalProtocolError: The message is too large for a frame.
    """
    body = _encoder.encode(message)
    if _SEQUENCE.size + len(body) > MAX_FRAME_BYTES:
        name = type(message).__name__
        raise errors.LocalProtocolError(f"{name} of {len(body)} bytes does not fit a frame", where=name)
    return body


class FrameWriter:
    """Numbers the frames of one direction."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def frame(self, body: bytes) -> bytes:
        """Return the next frame, with what `encode` made."""
        head = _SEQUENCE.pack(self.count % _SEQUENCE_MODULUS)
        self.count += 1
        return head + body


class FrameReader:
    """Takes the frames of one direction apart, and insists on their order."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def message(self, frame: bytes, max_bytes: int = MAX_FRAME_BYTES) -> messages.Message:
        """Return the message in the next frame.

        Args:
            frame: One whole frame.
            max_bytes: How long it may be.

        Raises:
            RemoteProtocolError: The frame is too long or too short, is not the next one, or holds anything else than
                exactly one message. Nothing more may be read from this direction after it.
        """
        where = f"frame {self.count}"
        if len(frame) > max_bytes:
            raise errors.RemoteProtocolError(f"a frame of {len(frame)} bytes, allowed are {max_bytes}", where=where)
        if len(frame) <= _SEQUENCE.size:
            raise errors.RemoteProtocolError(f"a frame of only {len(frame)} bytes", where=where)
        (sequence,) = _SEQUENCE.unpack_from(frame)
        expected = self.count % _SEQUENCE_MODULUS
        if sequence != expected:
            raise errors.RemoteProtocolError(
                f"frame {sequence} came instead of {expected}: frames were lost, repeated or mixed up",
                where=where,
            )
        self.count += 1
        return _decode(frame, where)


def _decode(frame: bytes, where: str) -> messages.Message:
    try:
        message: messages.Message = _decoder.decode(memoryview(frame)[_SEQUENCE.size :])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # the decoder lets text that is not UTF-8 and deep nesting in unknown fields through as their own kinds
        raise errors.RemoteProtocolError(f"not a message: {error}", where=where) from error
    return message
