"""TLS contexts: whom to trust, and the certificate that says who we are.

Private keys that a kubeconfig holds as data are on the disk only for the moment in which OpenSSL reads them: Python's
`ssl` loads certificates from files alone.
"""

from __future__ import annotations

import os
import ssl
import tempfile

import msgspec

from devloop import errors
from devloop.kube import config


class Certificate(msgspec.Struct, frozen=True):
    """A client certificate with its key, each by file or by text. Holds secrets: never print one.

    Attributes:
        file: A PEM file; empty where `text` is given.
        key_file: The PEM file of its key.
        text: The certificate, PEM.
        key: Its key, PEM.
    """

    file: str = ""
    key_file: str = ""
    text: str = ""
    key: str = ""


def context(tls: config.Tls, certificate: Certificate | None) -> ssl.SSLContext:
    """Make a context. Reads files, so it takes some milliseconds.

    Args:
        tls: Whom to trust.
        certificate: Who we are; None where that is said otherwise.

    Raises:
        KubeconfigError: A certificate or key cannot be read.
    """
    made = _trusting(tls)
    if certificate is not None:
        _present(made, certificate)
    return made


def _trusting(tls: config.Tls) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cafile=tls.authority_file or None, cadata=tls.authority or None)
    except (OSError, ssl.SSLError, ValueError) as error:
        where = tls.authority_file or "certificate-authority-data"
        raise errors.KubeconfigError(f"the certificate authority {where} cannot be read: {_words(error)}") from None
    # Authorities that clusters make for themselves often lack extensions that strict checking, Python 3.13's default,
    # asks for; kubectl does not ask for them.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not tls.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _present(made: ssl.SSLContext, certificate: Certificate) -> None:
    with tempfile.TemporaryDirectory(prefix="devloop-") as folder:
        file = certificate.file or _written(folder, "certificate", certificate.text)
        key_file = certificate.key_file or _written(folder, "key", certificate.key)
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            made.load_cert_chain(file, key_file, password="")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise errors.KubeconfigError(
                f"the client certificate of the kubeconfig cannot be used: {_words(error)}",
                hint="check client-certificate and client-key; a key with a password is not supported",
            ) from None


def _written(folder: str, name: str, text: str) -> str:
    # The folder is for its owner alone (0700), as mkdtemp makes it.
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as opened:
        opened.write(text)
    return path


def _words(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
