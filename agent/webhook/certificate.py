"""A certificate for the webhook's Service, under an authority that signs nothing else.

The authority's key is dropped as soon as it has signed, so there is nothing to steal that could sign again: a rotation
makes a new authority as well. Pure but for the random numbers; `agent.webhook.authority` keeps what is made here.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE: Final = datetime.timedelta(days=365)
RENEW_BEFORE: Final = datetime.timedelta(days=120)
# The API server's clock may be behind.
_BACKDATED: Final = datetime.timedelta(hours=1)

# RFC 5280, appendix A: a common name has at most so many characters.
_MAX_COMMON_NAME: Final = 64


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
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name(f"devloop admission {now:%Y-%m-%d} {secrets.token_hex(4)}")
    # It may not have another authority beneath it.
    above = (
        _begun(issuer, issuer, authority.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    below = (
        _begun(issuer, _name(names[0][:_MAX_COMMON_NAME]), server.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )
    key = server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(_signed(above, authority), _signed(below, authority), key.decode("ascii"))


def expires(certificate: str) -> datetime.datetime:
    """Return when a certificate ends.

    Args:
        certificate: PEM; of several the first counts.

    Raises:
        ValueError: It is none.
    """
    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc


def is_due(certificate: str, now: datetime.datetime) -> bool:
    """Say whether it is time for a new certificate; what is no certificate is due too."""
    try:
        return now >= expires(certificate) - RENEW_BEFORE
    except ValueError:
        return True


def _begun(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _signed(told: x509.CertificateBuilder, authority: ec.EllipticCurvePrivateKey) -> str:
    made = told.sign(authority, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode("ascii")
