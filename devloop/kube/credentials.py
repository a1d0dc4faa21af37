"""As whom requests are made: the headers and the certificate, renewed when they expire or are refused.

Tokens come from the kubeconfig, from a file, from a plugin or from an auth-provider. After a 401 the source is asked
again, once: a token in the kubeconfig may have been replaced by a login meanwhile, one in a file by the kubelet.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec

from devloop import errors
from devloop.kube import authprovider, config, kubeconfig, plugin, tls

# The kubelet renews a pod's token long before it expires; client-go reads the file anew each minute.
_FILE_LASTS_S: Final = 60.0
# A token that is about to expire would be refused on its way.
_EXPIRY_MARGIN_S: Final = 30.0
_NEVER: Final = float("inf")


class Grant(msgspec.Struct, frozen=True):
    """What a request carries. Holds secrets: never print one.

    Attributes:
        headers: To be sent with each request.
        certificate: For TLS; None where there is none.
        until: When to ask anew, by the wall clock, in seconds.
    """

    headers: tuple[tuple[str, str], ...]
    certificate: tls.Certificate | None = None
    until: float = _NEVER


class Credentials:
    """The one source of grants for a cluster. For one event loop.

    Args:
        cluster: Whose user it is.
        reread: Reads the kubeconfig again, for after a 401. May raise `KubeconfigError`.
        clock: The wall clock, in seconds.
    """

    def __init__(
        self,
        cluster: config.Cluster,
        reread: Callable[[], config.Cluster] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._reread = reread
        self._clock = clock
        self._grant: Grant | None = None
        # Many requests may find the token expired at once; one of them asks for a new one.
        self._lock = asyncio.Lock()
        self._provider: authprovider.AuthProvider | None = None

    async def current(self) -> Grant:
        """Return the grant, asking for one where there is none or it has expired.

        Raises:
            CredentialsError: There is none to be had.
            KubeconfigError: What the kubeconfig says of it is wrong.
        """
        async with self._lock:
            if self._grant is None or self._clock() >= self._grant.until:
                self._grant = await self._make()
            return self._grant

    async def renewed(self, refused: Grant) -> Grant | None:
        """Return another grant than the one that was refused, or None where the source has no other.

        Args:
            refused: What the API server answered 401 to.

        Raises:
            CredentialsError: See `current`.
            KubeconfigError: See `current`.
        """
        async with self._lock:
            if self._grant is not refused and self._grant is not None:
                return self._grant
            if self._reread is not None:
                self._cluster = await asyncio.to_thread(self._reread)
            self._grant = await self._make()
            same = (self._grant.headers, self._grant.certificate) == (refused.headers, refused.certificate)
            return None if same else self._grant

    async def _make(self) -> Grant:
        user = self._cluster.user
        headers = impersonation(user)
        certificate = _certificate(user, self._cluster.folder)
        until = _NEVER
        if user.token_file:
            # A file goes before `token`, as for client-go's transports: it may have been renewed.
            token = _token(os.path.join(self._cluster.folder, user.token_file))
            headers.append(("Authorization", f"Bearer {token}"))
            until = self._clock() + _FILE_LASTS_S
        elif user.token:
            headers.append(("Authorization", f"Bearer {user.token}"))
        elif user.username:
            basic = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
            headers.append(("Authorization", f"Basic {basic}"))
        elif user.exec is not None:
            return await self._from_plugin(user.exec, headers, certificate)
        elif user.auth_provider is not None:
            headers.append(("Authorization", await self._from_provider(user.auth_provider)))
            until = self._clock() + _FILE_LASTS_S
        return Grant(_checked(headers), certificate, until)

    async def _from_plugin(
        self, wanted: kubeconfig.Plugin, headers: list[tuple[str, str]], certificate: tls.Certificate | None
    ) -> Grant:
        given = await plugin.run(wanted, self._cluster.folder, self._cluster.info)
        if given.token:
            headers.append(("Authorization", f"Bearer {given.token}"))
        if given.client_certificate_data:
            certificate = tls.Certificate(text=given.client_certificate_data, key=given.client_key_data)
        expires = given.expiration_timestamp
        until = expires.timestamp() - _EXPIRY_MARGIN_S if expires else _NEVER
        return Grant(_checked(headers), certificate, until)

    async def _from_provider(self, wanted: kubeconfig.AuthProvider) -> str:
        if self._provider is None:
            self._provider = authprovider.AuthProvider(self._cluster.files, self._cluster.context, wanted.name)
        return await self._provider.authorization()


def impersonation(user: kubeconfig.User) -> list[tuple[str, str]]:
    """Return the headers for the `as…` fields of a user; a name may come several times."""
    if not user.impersonate:
        return []
    named = [("Impersonate-User", user.impersonate), ("Impersonate-Uid", user.impersonate_uid)]
    named += [("Impersonate-Group", group) for group in user.impersonate_groups]
    for key, values in user.impersonate_extra.items():
        # Keys may hold what a header's name may not, such as `/`.
        named += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
    return [(name, value) for name, value in named if value]


def _certificate(user: kubeconfig.User, folder: str) -> tls.Certificate | None:
    text = config.decoded(user.client_certificate_data, "client-certificate-data")
    key = config.decoded(user.client_key_data, "client-key-data")
    file = os.path.join(folder, user.client_certificate) if user.client_certificate and not text else ""
    key_file = os.path.join(folder, user.client_key) if user.client_key and not key else ""
    if not (text or file) and not (key or key_file):
        return None
    if not (text or file) or not (key or key_file):
        raise errors.KubeconfigError("the kubeconfig has a client certificate without its key, or a key without it")
    return tls.Certificate(file, key_file, text, key)


def _token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as opened:
            token = opened.read(1024 * 1024).strip()
    except (OSError, ValueError) as error:
        raise errors.CredentialsError(f"the token file {path} cannot be read: {error}") from None
    if not token:
        raise errors.CredentialsError(f"the token file {path} is empty", hint="log in again")
    return token


def _checked(headers: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    if any(char in text for pair in headers for text in pair for char in "\r\n\0"):
        raise errors.CredentialsError("the credentials hold a line break, so they cannot be sent", hint="log in again")
    return tuple(headers)
