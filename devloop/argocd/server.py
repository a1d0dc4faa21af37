"""Requests to Argo CD's own server: JSON in, JSON out, its refusals as errors for people.

The only importer of aiohttp besides `devloop.kube`: the server is no Kubernetes API, and shares nothing with it but the
sockets. Its errors are gRPC's statuses as JSON, `{"code": 7, "message": "permission denied: applications, sync, …"}`:
https://github.com/grpc/grpc/blob/master/doc/statuscodes.md.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
import yarl

import devloop
from devloop import errors
from devloop.argocd import login
from devloop.kube import config, sockets, tls, watch

TIMEOUT_S: Final = 30.0
"""Rendering is done while a request waits, and may take its time."""

# A stream says something when something changes; a proxy in between may end one that is silent.
SILENCE_S: Final = 300.0

_MAX_BODY_BYTES: Final = 256 * 1024 * 1024
_MAX_WORDS: Final = 600
_PERMISSION: Final = re.compile(r"permission denied: (?P<resource>\S+), (?P<action>\S+), (?P<object>\S+?),")

Query = Mapping[str, str | list[str]]


class Server:
    """A server that answers; made by `connect`."""

    def __init__(self, how: login.Login, session: aiohttp.ClientSession, way: Mapping[str, Any]) -> None:
        self.url = how.url
        self._how = how
        self._session = session
        self._way = way

    async def ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: Query | None = None,
        body: object = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """Return the answer to a request.

        Args:
            method: Of HTTP.
            path: What comes after `/api/v1`, in parts, which are quoted here.
            query: Parameters.
            body: What is sent, as JSON.
            timeout_s: Until the whole answer is there.

        Raises:
            ClusterError: See the module.
        """
        limits = aiohttp.ClientTimeout(total=timeout_s, connect=10.0)
        try:
            async with await self._session.request(
                method, self._url(path, query), **self._sent(body, limits)
            ) as answer:
                raw = await _whole(answer)
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._away(error) from None
        return self._decoded(status, raw)

    async def follow(self, path: tuple[str, ...], query: Query | None = None) -> AsyncGenerator[dict[str, Any]]:
        """Yield what an answer that goes on tells, value by value, until it ends. Close it with `contextlib.aclosing`.

        Raises:
            ClusterError: See `ask`; `UnreachableError` also where it is cut or silent for too long.
        """
        limits = aiohttp.ClientTimeout(total=None, connect=10.0, sock_read=SILENCE_S)
        lines = watch.Lines()
        try:
            async with await self._session.request("GET", self._url(path, query), **self._sent(None, limits)) as answer:
                if answer.status != 200:
                    self._decoded(answer.status, await _whole(answer))
                async for part in answer.content.iter_any():
                    for line in lines.feed(part):
                        yield self._decoded(200, line)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._away(error) from None

    def _url(self, path: tuple[str, ...], query: Query | None) -> yarl.URL:
        parts = "/".join(quote(each, safe="") for each in path)
        asked = f"?{urlencode(query, doseq=True)}" if query else ""
        return yarl.URL(f"{self.url}/api/v1/{parts}{asked}", encoded=True)

    def _sent(self, body: object, limits: aiohttp.ClientTimeout) -> dict[str, Any]:
        # Said of every request: what has no body and is no GET is refused without it (Argo CD's guard against forms).
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._how.token:
            headers["Authorization"] = f"Bearer {self._how.token}"
        data = None if body is None else io.BytesIO(msgspec.json.encode(body))
        # A redirect could lead the token elsewhere.
        return {"headers": headers, "data": data, "timeout": limits, "allow_redirects": False, **self._way}

    def _decoded(self, status: int, raw: bytes) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(raw) if raw else {}
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        if status != 200:
            raise self._refused(status, found if isinstance(found, dict) else {})
        if not isinstance(found, dict):
            raise errors.UnreachableError(
                f"what answers at {self.url} is not Argo CD's API",
                hint="check argocd.server: a login page may be in between, or a path such as /argocd be missing",
                code="DL1041",
            )
        return found

    def _refused(self, status: int, told: Mapping[str, Any]) -> errors.ClusterError:
        words = str(told.get("message") or told.get("error") or "")[:_MAX_WORDS]
        if status == 401:
            return errors.CredentialsError(
                f"Argo CD at {self.url} does not know you: {words or 'no valid token'}",
                hint=f"log in with `argocd login`, or set {login.TOKEN}",
                code="DL1042",
                status=status,
            )
        if status == 403:
            return _forbidden(words, self.url)
        if status == 404:
            return errors.NotThereError(words or f"{self.url} has no such thing", status=status)
        if status in {409, 412}:
            return errors.ConflictError(words or "somebody else was there meanwhile", status=status)
        if status in {429, 502, 503, 504}:
            return errors.UnreachableError(
                f"Argo CD at {self.url} cannot do this now ({status}): {words}",
                hint="try again in a moment",
                status=status,
            )
        if not words and 300 <= status < 400:
            words = "it sends elsewhere; check argocd.server"
        return errors.RefusedError(f"Argo CD refused: {words or f'HTTP {status}'}", status=status)

    def _away(self, error: BaseException) -> errors.UnreachableError:
        if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
            words = str(getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error)
            hint = "check the certificate; `argocd login --insecure` remembers to trust any"
        else:
            words = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            hint = "check argocd.server, the network and the VPN"
        return errors.UnreachableError(f"Argo CD at {self.url} cannot be reached: {words}", hint=hint, code="DL1043")


@contextlib.asynccontextmanager
async def connect(how: login.Login) -> AsyncIterator[Server]:
    """Make a client for a server; nothing is sent yet."""
    way: dict[str, Any] = {"proxy": config.proxy_for(how.url, "", os.environ) or None}
    if how.url.startswith("https:"):
        trusted = config.Tls(verify=how.verify)
        context = tls.context(trusted, None)
        if how.authority:
            context.load_verify_locations(cadata=how.authority)
        way["ssl"] = context
    connector = aiohttp.TCPConnector(limit=0, socket_factory=sockets.make)
    async with aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": f"devloop/{devloop.__version__}"},
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield Server(how, session, way)


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > _MAX_BODY_BYTES:
            raise aiohttp.ClientPayloadError(f"more than {_MAX_BODY_BYTES} bytes")
    return b"".join(parts)


def _forbidden(words: str, url: str) -> errors.ForbiddenError:
    said = _PERMISSION.search(words)
    if said is None:
        return errors.ForbiddenError(
            f"Argo CD at {url} does not allow this: {words or 'permission denied'}",
            hint="ask whoever runs Argo CD for the right in argocd-rbac-cm",
            status=403,
        )
    resource, action, what = said["resource"], said["action"], said["object"]
    return errors.ForbiddenError(
        f"Argo CD does not let you {action} {what} ({resource})",
        hint=f"ask for this line in argocd-rbac-cm: p, ROLE, {resource}, {action}, {what}, allow",
        status=403,
    )
