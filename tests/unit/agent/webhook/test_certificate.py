from __future__ import annotations

import asyncio
import datetime
import socket
import ssl

import pytest

from agent.webhook import authority, certificate

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
NAME = "devloop-admission.devloop-system.svc"


async def dialled(pair: certificate.Pair, trusted: str, name: str) -> None:
    """Connect to a server that has the certificate, as a client that trusts an authority."""
    context = authority.fresh_context()
    authority.load(context, pair.certificate, pair.key)

    async def served(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=context, family=socket.AF_INET)
    async with server:
        client = ssl.create_default_context(cadata=trusted)
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        writer.close()


async def test_a_strict_client_trusts_it_for_its_names_alone() -> None:
    pair = certificate.make([NAME, "other"], NOW)
    await dialled(pair, pair.authority, NAME)
    await dialled(pair, pair.authority, "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        await dialled(pair, pair.authority, "example.org")


async def test_another_authority_is_not_trusted() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await dialled(certificate.make([NAME], NOW), certificate.make([NAME], NOW).authority, NAME)


def test_its_end_is_read_back() -> None:
    pair = certificate.make([NAME], NOW)
    assert certificate.expires(pair.certificate) == NOW + certificate.LIFE
    assert certificate.expires(pair.authority) == NOW + certificate.LIFE


def test_it_is_due_in_good_time() -> None:
    pair = certificate.make([NAME], NOW)
    due = NOW + certificate.LIFE - certificate.RENEW_BEFORE
    assert not certificate.is_due(pair.certificate, due - datetime.timedelta(seconds=1))
    assert certificate.is_due(pair.certificate, due)


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_due(text: str) -> None:
    assert certificate.is_due(text, NOW)


def test_a_long_service_name_is_cut_where_certificates_end() -> None:
    pair = certificate.make(["a" * 90 + ".svc"], NOW)
    authority.load(authority.fresh_context(), pair.certificate, pair.key)
