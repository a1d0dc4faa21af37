"""What all messages are made of: the numbers and sizes of their fields, their bases, and the bounds of a stream."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Final

import msgspec

from devloop.core import entry

Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""A number of something. Decoding refuses others, so that no arithmetic behind it has to think of them."""

Digest = Annotated[bytes, msgspec.Meta(min_length=entry.DIGEST_BYTES, max_length=entry.DIGEST_BYTES)]
"""A sha256. Nonces and proofs have the same length."""

OUTPUT_STREAM: Final = 1
"""The stream of `Output`. Requests and batches are numbered from 16 on, so that fixed streams have room."""

FIRST_NUMBER: Final = 16
"""The first batch and the first request."""

FIRST_STREAM: Final = 2**31
"""The first byte stream (`messages.stream`); batches and requests stay below."""

MAX_DATA_BYTES: Final = 240 * 1024
"""The most that `data` of one message may hold, as it is sent and decompressed: a frame is at most 256 KiB."""

FRAME_COST_BYTES: Final = 64
"""What a bulk message costs besides its `data`, so that empty ones are not free."""


class Codec(enum.IntEnum):
    """How `data` is encoded."""

    RAW = 0
    ZSTD = 1


class BaseMessage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of all messages.

    Attributes:
        follows: The field that names the sender's stream this message belongs to. It is sent behind everything of
            that stream that was to be sent before it. Messages without one are sent at once.
    """

    follows: ClassVar[str] = ""


class BulkMessage(BaseMessage, frozen=True, array_like=True, gc=False):
    """The base of messages that use up a stream's credit: `data` counts, and `FRAME_COST_BYTES`.

    Attributes:
        stream: The stream's number, chosen by the sender; a batch's stream is the batch's number.
    """

    stream: Count

    follows: ClassVar[str] = "stream"
