"""Keys and signatures on the curve P-256, for the one certificate that the webhook makes for itself.

Python's standard library can serve TLS but make no certificate. What is done here once in some months, with a key
that never leaves the process, is the textbook's arithmetic (SEC 1, FIPS 186-4); OpenSSL checks every result when it
loads it, and does all of the TLS. It takes no care of constant time: nobody can watch or repeat a signature here, the
key of the authority being dropped after its only one.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final, TypeAlias

import msgspec

from agent.webhook import der

Point: TypeAlias = tuple[int, int] | None
"""Affine coordinates; None is the point at infinity."""

# FIPS 186-4, D.1.2.3: the field's prime, the coefficient b, the order of the group, its generator. a is -3.
_P: Final = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G: Final = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_SIZE: Final = 32

# RFC 5480: id-ecPublicKey, prime256v1.
_EC: Final = "1.2.840.10045.2.1"
_P256: Final = "1.2.840.10045.3.1.7"


class Key(msgspec.Struct, frozen=True):
    """A private key with its public point. Never print one."""

    secret: int
    public: tuple[int, int]

    def point(self) -> bytes:
        """Return the public point, uncompressed."""
        return b"\x04" + b"".join(number.to_bytes(_SIZE, "big") for number in self.public)

    def info(self) -> bytes:
        """Return the public key as certificates have it: SubjectPublicKeyInfo."""
        return der.sequence(der.sequence(der.oid(_EC), der.oid(_P256)), der.bits(self.point()))

    def identifier(self) -> bytes:
        """Return what certificates call this key by (RFC 5280, 4.2.1.2)."""
        # The RFC's own choice; it names a key and protects nothing.
        return hashlib.sha1(self.point(), usedforsecurity=False).digest()

    def pem(self) -> str:
        """Return the private key as PEM (RFC 5915)."""
        parameters, public = der.tagged(0xA0, der.oid(_P256)), der.tagged(0xA1, der.bits(self.point()))
        secret = der.octets(self.secret.to_bytes(_SIZE, "big"))
        return der.pem("EC PRIVATE KEY", der.sequence(der.integer(1), secret, parameters, public))

    def sign(self, message: bytes) -> bytes:
        """Return an ECDSA signature with SHA-256."""
        digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
        while True:
            nonce = secrets.randbelow(_N - 1) + 1
            point = _times(nonce, _G)
            assert point is not None
            r = point[0] % _N
            s = pow(nonce, -1, _N) * (digest + r * self.secret) % _N
            if r and s:
                return der.sequence(der.integer(r), der.integer(s))


def new() -> Key:
    """Make a key."""
    secret = secrets.randbelow(_N - 1) + 1
    public = _times(secret, _G)
    assert public is not None and _is_on_curve(public)
    return Key(secret, public)


def _is_on_curve(point: tuple[int, int]) -> bool:
    x, y = point
    return (y * y - x * x * x + 3 * x - _B) % _P == 0


def _times(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        if factor & 1:
            total = _plus(total, point)
        point = _plus(point, point)
        factor >>= 1
    return total


def _plus(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % _P == 0:
        return None
    if one == other:
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, _P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P)
    x = (slope * slope - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P
