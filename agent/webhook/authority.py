"""Who the webhook proves to be, and how the API server comes to believe it.

By itself: certificate and key are in a Secret that all replicas share, and the authority is written into the webhook
configuration. Whoever finds the certificate missing or old makes a new one; the old authority stays trusted beside the
new one until the next rotation, so replicas that have not noticed yet go on working. Or by cert-manager: then the files
are mounted, and only looked at again when they change.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import logging
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from agent.webhook import certificate
from devloop import errors
from devloop.kube import client, paths

EVERY_S: Final = 60.0
_TRIES: Final = 5

_CERTIFICATE: Final = "tls.crt"
_KEY: Final = "tls.key"
_AUTHORITY: Final = "ca.crt"
_END: Final = "-----END CERTIFICATE-----\n"

_log = logging.getLogger("devloop.webhook")


class Place(msgspec.Struct, frozen=True):
    """The objects that belong to the webhook.

    Attributes:
        namespace: Of the Secret and the Service.
        service: What the API server calls.
        secret: Holds certificate and key.
        configuration: The MutatingWebhookConfiguration that gets the authority.
    """

    namespace: str
    service: str
    secret: str
    configuration: str

    def names(self) -> tuple[str, ...]:
        """Return the names that the certificate is for; the API server uses the first."""
        return (
            f"{self.service}.{self.namespace}.svc",
            f"{self.service}.{self.namespace}.svc.cluster.local",
            f"{self.service}.{self.namespace}",
        )


def fresh_context() -> ssl.SSLContext:
    """Return a context without a certificate; `load` gives it one, as often as needed, also while it serves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def load(context: ssl.SSLContext, chain: str, key: str) -> None:
    """Make new connections use a certificate.

    Raises:
        ssl.SSLError: It is none, or the key is not its own.
    """
    # `ssl` reads files only; the folder is for its owner alone, and in memory in the chart's pod.
    with tempfile.TemporaryDirectory(prefix="devloop-") as folder:
        paths_of = [os.path.join(folder, name) for name in (_CERTIFICATE, _KEY)]
        for path, text in zip(paths_of, (chain, key), strict=True):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        context.load_cert_chain(*paths_of)


async def ensure(
    api: client.Client, place: Place, now: Callable[[], datetime.datetime], loaded: Callable[[str, str], None]
) -> None:
    """Have a certificate that is good for long enough, make the API server believe in it, and use it.

    Args:
        api: The connection.
        place: The objects.
        now: Tells the time.
        loaded: Takes certificate and key into use.

    Raises:
        ClusterError: The objects are not there or not ours to change.
    """
    pair = await _secret(api, place, now)
    await _publish(api, place, pair.authority)
    loaded(pair.certificate, pair.key)


async def _secret(api: client.Client, place: Place, now: Callable[[], datetime.datetime]) -> certificate.Pair:
    path = paths.of("v1", "secrets", place.namespace, place.secret)
    for _ in range(_TRIES):
        held = await api.get(path)
        pair = read(held)
        if pair is not None and not certificate.is_due(pair.certificate, now()):
            return pair
        made = renewed(pair, place.names(), now())
        # With the version that was read: of several replicas one wins, and the others take what it made.
        with contextlib.suppress(errors.ConflictError):
            await api.replace(path, {**held, "data": {**(held.get("data") or {}), **_data(made)}})
            _log.info("made a certificate that is good until %s", certificate.expires(made.certificate))
            return made
    raise errors.ConflictError(f"the secret {place.secret} is changed all the time")


def renewed(old: certificate.Pair | None, names: tuple[str, ...], now: datetime.datetime) -> certificate.Pair:
    """Return a new certificate, with the last authority beside the new one."""
    made = certificate.make(names, now)
    last = old.authority.partition(_END) if old is not None else ("", "", "")
    return msgspec.structs.replace(made, authority=made.authority + "".join(last[:2]))


def read(secret: dict[str, Any]) -> certificate.Pair | None:
    """Return what a Secret holds; None where that is not a whole certificate that OpenSSL takes."""
    try:
        texts = [base64.b64decode(secret["data"][key]).decode("ascii") for key in (_AUTHORITY, _CERTIFICATE, _KEY)]
        pair = certificate.Pair(*texts)
        load(fresh_context(), pair.certificate, pair.key)
        ssl.create_default_context(cadata=pair.authority)
    except (KeyError, TypeError, ValueError, ssl.SSLError):
        return None
    return pair


def _data(pair: certificate.Pair) -> dict[str, str]:
    held = {_AUTHORITY: pair.authority, _CERTIFICATE: pair.certificate, _KEY: pair.key}
    return {key: _encoded(text) for key, text in held.items()}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("ascii")).decode("ascii")


async def _publish(api: client.Client, place: Place, authority: str) -> None:
    path = paths.of("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", name=place.configuration)
    held = await api.get(path)
    patch = published(held, _encoded(authority))
    if patch:
        await api.patch(path, patch, client.Patch.JSON)
        _log.info("wrote the authority into %s", place.configuration)


def published(configuration: dict[str, Any], bundle: str) -> list[dict[str, Any]]:
    """Return the patch that makes every webhook of a configuration trust a bundle; empty where they do."""
    patch: list[dict[str, Any]] = []
    for index, each in enumerate(configuration.get("webhooks") or []):
        if (each.get("clientConfig") or {}).get("caBundle") != bundle:
            at = f"/webhooks/{index}"
            # Somebody may have changed their order in between.
            patch.append({"op": "test", "path": f"{at}/name", "value": each["name"]})
            patch.append({"op": "add", "path": f"{at}/clientConfig/caBundle", "value": bundle})
    return patch


def mounted(folder: str, loaded: Callable[[str, str], None]) -> Callable[[], Awaitable[None]]:
    """Return what looks at mounted files and takes them into use when they are others.

    Args:
        folder: Where cert-manager's Secret is mounted.
        loaded: Takes certificate and key into use.
    """
    last: list[tuple[str, str]] = []

    async def look() -> None:
        texts = []
        for name in (_CERTIFICATE, _KEY):
            with open(os.path.join(folder, name), encoding="ascii") as file:  # noqa: ASYNC230  (a small local file)
                texts.append(file.read())
        found = texts[0], texts[1]
        if [found] != last:
            loaded(*found)
            last[:] = [found]

    return look


async def keep(look: Callable[[], Awaitable[None]], *, every_s: float = EVERY_S) -> None:
    """Go on looking after the certificate until cancelled; trouble is said, and tried again."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await look()
        except errors.ClusterError as error:
            _log.warning("the certificate cannot be looked after: %s", error.message)
        except (OSError, ValueError) as error:
            _log.warning("the certificate cannot be read: %s", error)
