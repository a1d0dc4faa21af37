"""A certificate for the webhook's Service, under an authority that signs nothing else.

Pure but for the random numbers. The authority's key is dropped as soon as it has signed, so there is nothing to steal
that could sign again: a rotation makes a new authority as well.
"""

from __future__ import annotations

import datetime
import secrets
import ssl
from collections.abc import Sequence
from typing import Final

import msgspec

from agent.webhook import curve, der

LIFE: Final = datetime.timedelta(days=365)
RENEW_BEFORE: Final = datetime.timedelta(days=120)
# The API server's clock may be behind.
_BACKDATED: Final = datetime.timedelta(hours=1)

_ECDSA_SHA256: Final = der.sequence(der.oid("1.2.840.10045.4.3.2"))
# RFC 5280, 4.2.1: subject and authority key identifier, key usage, subjectAltName, basic constraints, extended usage.
_SUBJECT_KEY: Final = "2.5.29.14"
_AUTHORITY_KEY: Final = "2.5.29.35"
_USAGE: Final = "2.5.29.15"
_NAMES: Final = "2.5.29.17"
_CONSTRAINTS: Final = "2.5.29.19"
_PURPOSE: Final = "2.5.29.37"
_COMMON_NAME: Final = "2.5.4.3"
_SERVER_AUTH: Final = "1.3.6.1.5.5.7.3.1"
# Bits from the left: digitalSignature is the first, keyCertSign the sixth.
_SIGNS_DATA: Final = der.bits(b"\x80", 7)
_SIGNS_CERTIFICATES: Final = der.bits(b"\x04", 2)


class Pair(msgspec.Struct, frozen=True):
    """A certificate, its key and who vouches for it, all PEM. Never print one.

    Attributes:
        authority: The authority's certificate.
        certificate: The server's.
        key: The server's private key.
    """

    authority: str
    certificate: str
    key: str


def make(names: Sequence[str], now: datetime.datetime) -> Pair:
    """Make a new authority and a certificate of it.

    Args:
        names: The DNS names that the server is reached by; the first is its common name.
        now: The time, with its zone.
    """
    authority, server = curve.new(), curve.new()
    issuer = _name(f"devloop admission {now:%Y-%m-%d} {secrets.token_hex(4)}")
    above = _sign(authority, issuer, authority, issuer, _of_authority(authority), now)
    below = _sign(authority, issuer, server, _name(names[0][:64]), _of_server(server, authority, names), now)
    return Pair(der.pem("CERTIFICATE", above), der.pem("CERTIFICATE", below), server.pem())


def expires(certificate: str) -> datetime.datetime:
    """Return when a certificate ends.

    Args:
        certificate: PEM, as `make` writes it; of several the first counts.

    Raises:
        ValueError: It is none.
    """
    try:
        raw = ssl.PEM_cert_to_DER_cert(certificate[: certificate.index(_END) + len(_END)])
        # Certificate > TBSCertificate > [0] version, serial, algorithm, issuer, validity > notBefore, notAfter.
        inner = _enter(_enter(raw))
        for _ in range(4):
            inner = _skip(inner)
        last = _skip(_enter(inner))
        said = _enter(last)[: last[1]].decode("ascii")
        form = "%y%m%d%H%M%SZ" if last[0] == 0x17 else "%Y%m%d%H%M%SZ"
        return datetime.datetime.strptime(said, form).replace(tzinfo=datetime.UTC)
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


_END: Final = "-----END CERTIFICATE-----"


def is_due(certificate: str, now: datetime.datetime) -> bool:
    """Say whether it is time for a new certificate; what is no certificate is due too."""
    try:
        return now >= expires(certificate) - RENEW_BEFORE
    except ValueError:
        return True


def _name(common: str) -> bytes:
    return der.sequence(der.one_of(der.sequence(der.oid(_COMMON_NAME), der.text(common))))


def _sign(
    signer: curve.Key, issuer: bytes, key: curve.Key, subject: bytes, more: bytes, now: datetime.datetime
) -> bytes:
    told = der.sequence(
        der.tagged(0xA0, der.integer(2)),
        der.integer(secrets.randbits(127) | 1),
        _ECDSA_SHA256,
        issuer,
        der.sequence(der.time(now - _BACKDATED), der.time(now + LIFE)),
        subject,
        key.info(),
        der.tagged(0xA3, more),
    )
    return der.sequence(told, _ECDSA_SHA256, der.bits(signer.sign(told)))


def _of_authority(key: curve.Key) -> bytes:
    return der.sequence(
        # It may not have another authority beneath it.
        _extension(_CONSTRAINTS, der.sequence(der.boolean(True), der.integer(0)), critical=True),
        _extension(_USAGE, _SIGNS_CERTIFICATES, critical=True),
        _extension(_SUBJECT_KEY, der.octets(key.identifier())),
    )


def _of_server(key: curve.Key, authority: curve.Key, names: Sequence[str]) -> bytes:
    return der.sequence(
        _extension(_CONSTRAINTS, der.sequence(), critical=True),
        _extension(_USAGE, _SIGNS_DATA, critical=True),
        _extension(_PURPOSE, der.sequence(der.oid(_SERVER_AUTH))),
        _extension(_NAMES, der.sequence(*(der.tagged(0x82, name.encode("ascii")) for name in names))),
        _extension(_SUBJECT_KEY, der.octets(key.identifier())),
        _extension(_AUTHORITY_KEY, der.sequence(der.tagged(0x80, authority.identifier()))),
    )


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    return der.sequence(der.oid(oid), *([der.boolean(True)] if critical else []), der.octets(value))


def _header(raw: bytes) -> tuple[int, int]:
    """Return the size of a value's tag and length, and of its content."""
    if raw[1] < 0x80:
        return 2, raw[1]
    more = raw[1] & 0x7F
    return 2 + more, int.from_bytes(raw[2 : 2 + more], "big")


def _enter(raw: bytes) -> bytes:
    return raw[_header(raw)[0] :]


def _skip(raw: bytes) -> bytes:
    return raw[sum(_header(raw)) :]
