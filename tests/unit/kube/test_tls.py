"""TLS: whom to trust, and who we are."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

import pytest

from devloop import errors
from devloop.kube import config, tls


def test_the_authority_comes_from_a_file_or_from_text(pki: Path) -> None:
    from_file = tls.context(config.Tls(authority_file=str(pki / "ca.crt")), None)
    from_text = tls.context(config.Tls(authority=(pki / "ca.crt").read_text()), None)
    assert from_file.get_ca_certs() == from_text.get_ca_certs() != []
    assert from_file.verify_mode is ssl.CERT_REQUIRED and from_file.check_hostname
    assert not from_file.verify_flags & ssl.VERIFY_X509_STRICT


def test_not_verifying_is_only_done_when_asked_for() -> None:
    made = tls.context(config.Tls(verify=False), None)
    assert made.verify_mode is ssl.CERT_NONE and not made.check_hostname


@pytest.mark.parametrize("given", [config.Tls(authority="nonsense"), config.Tls(authority_file="/nowhere/ca.crt")])
def test_an_authority_that_cannot_be_read_is_told(given: config.Tls) -> None:
    with pytest.raises(errors.KubeconfigError, match="certificate authority"):
        tls.context(given, None)


def test_a_key_given_as_text_leaves_nothing_on_the_disk(
    pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    text, key = (pki / "client.crt").read_text(), (pki / "client.key").read_text()
    tls.context(config.Tls(), tls.Certificate(text=text, key=key))
    tls.context(config.Tls(), tls.Certificate(file=str(pki / "client.crt"), key=key))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("key", ["locked.key", "server.key", "missing.key"])
def test_a_key_with_a_password_or_of_another_certificate_is_refused_without_a_question(pki: Path, key: str) -> None:
    certificate = tls.Certificate(file=str(pki / "client.crt"), key_file=str(pki / key))
    with pytest.raises(errors.KubeconfigError, match="client certificate"):
        tls.context(config.Tls(), certificate)
