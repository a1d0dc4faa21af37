"""The few forms of DER (X.690) that a certificate is made of: values in, bytes out."""

from __future__ import annotations

import base64
import datetime
import textwrap
from typing import Final

NULL: Final = b"\x05\x00"


def tagged(tag: int, *parts: bytes) -> bytes:
    """Return a value with its tag and length.

    Args:
        tag: The identifier octet.
        parts: The content, in pieces.
    """
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE."""
    return tagged(0x30, *parts)


def one_of(*parts: bytes) -> bytes:
    """Return a SET."""
    return tagged(0x31, *parts)


def integer(number: int) -> bytes:
    """Return an INTEGER; the number is not negative."""
    return tagged(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def boolean(value: bool) -> bytes:
    """Return a BOOLEAN."""
    return tagged(0x01, b"\xff" if value else b"\x00")


def octets(content: bytes) -> bytes:
    """Return an OCTET STRING."""
    return tagged(0x04, content)


def bits(content: bytes, unused: int = 0) -> bytes:
    """Return a BIT STRING, of which the last `unused` bits do not count."""
    return tagged(0x03, bytes((unused,)), content)


def text(value: str) -> bytes:
    """Return a UTF8String."""
    return tagged(0x0C, value.encode())


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER, such as `1.2.840.10045.2.1`."""
    first, second, *rest = map(int, dotted.split("."))
    out = bytearray()
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        out += bytes(reversed(groups))
    return tagged(0x06, bytes(out))


def time(moment: datetime.datetime) -> bytes:
    """Return a UTCTime; RFC 5280 asks for that form until 2049."""
    return tagged(0x17, moment.astimezone(datetime.UTC).strftime("%y%m%d%H%M%SZ").encode())


def pem(label: str, content: bytes) -> str:
    """Return bytes as the PEM text that `ssl` reads."""
    lines = textwrap.fill(base64.b64encode(content).decode(), 64)
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"
