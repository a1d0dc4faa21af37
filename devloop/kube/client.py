"""Requests to one API server: plain dicts in and out, a deadline on each, errors for people.

One aiohttp session per cluster. A 401 renews the credentials and tries once more; nothing else is tried again here,
because only the caller knows whether that is safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import enum
import io
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import msgspec
import yarl

import devloop
from devloop import errors
from devloop.kube import config, credentials, failures, paths, sockets, tls

TIMEOUT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 10.0
# Larger than any list that the API server gives in one page.
_MAX_BODY_BYTES: Final = 256 * 1024 * 1024
_MAX_ERROR_BYTES: Final = 64 * 1024
_PAGE: Final = 500
_MAX_NEAR: Final = 500

Query = Mapping[str, str | Sequence[str]]
Object = dict[str, Any]

# What the network, TLS and HTTP may do to a request.
TROUBLE: Final = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, TimeoutError, ssl.SSLError)


class Patch(enum.Enum):
    """The ways to change an object, each with its content type."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"
    """Server-side apply; needs `fieldManager` in the query. JSON is YAML."""


class Version(msgspec.Struct, frozen=True):
    """The API server's version.

    Attributes:
        major: The first number.
        minor: The second, without a provider's addition such as `+`.
        text: As the server writes it, such as `v1.29.4-gke.1`.
    """

    major: int
    minor: int
    text: str

    def at_least(self, major: int, minor: int) -> bool:
        """Say whether this is that version or a later one."""
        return (self.major, self.minor) >= (major, minor)


class Listing(msgspec.Struct, frozen=True):
    """All objects of a list, at one moment.

    Attributes:
        items: The objects, as dicts.
        version: The resourceVersion from which a watch goes on.
    """

    items: tuple[Object, ...]
    version: str


class Websocket(aiohttp.ClientWebSocketResponse):
    """An open websocket, which can also be cut."""

    def abort(self) -> None:
        """Close the connection at once: nothing more is sent, and whoever reads finds the end."""
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._response.close()


class Client:
    """A connection to one API server, made by `connect`. For one event loop.

    Attributes:
        cluster: Whom it talks to.
        skew_s: How far the API server's clock is ahead of this machine's, to the second; None before the first answer.
    """

    def __init__(self, cluster: config.Cluster, grants: credentials.Credentials, session: aiohttp.ClientSession):
        self.cluster = cluster
        self.skew_s: float | None = None
        self._grants = grants
        self._session = session
        self._contexts: dict[tls.Certificate | None, ssl.SSLContext] = {}

    @property
    def namespace(self) -> str:
        """The namespace to work in."""
        return self.cluster.namespace

    async def get(self, path: str, query: Query | None = None, *, timeout_s: float = TIMEOUT_S) -> Object:
        """Read an object, or one page of a list.

        Args:
            path: See `devloop.kube.paths.of`.
            query: Its parameters.
            timeout_s: Until the whole answer is there.

        Raises:
            ClusterError: See `devloop.kube.failures`.
        """
        return await self._object("GET", path, query, timeout_s=timeout_s)

    async def find(self, path: str, *, timeout_s: float = TIMEOUT_S) -> Object:
        """Read an object that a person has named: where it does not exist, the error has the names that do.

        Raises:
            NotThereError: With a hint of near names, or that the namespace does not exist.
            ClusterError: See `get`.
        """
        try:
            return await self.get(path, timeout_s=timeout_s)
        except errors.NotThereError as error:
            raise await self._explained(path, error) from None

    async def list(self, path: str, query: Query | None = None, *, timeout_s: float = TIMEOUT_S) -> Listing:
        """Read a whole list, page by page.

        Args:
            path: See `devloop.kube.paths.of`.
            query: Its parameters, such as `labelSelector`.
            timeout_s: For each page.

        Raises:
            ClusterError: See `get`; its reason is `Expired` where the list changed too much between two pages.
        """
        items: list[Object] = []
        more = ""
        while True:
            asked = {"limit": str(_PAGE), **(query or {}), **({"continue": more} if more else {})}
            page = await self.get(path, asked, timeout_s=timeout_s)
            found, meta = page.get("items") or [], page.get("metadata") or {}
            if not isinstance(found, list) or not isinstance(meta, dict):
                raise self._damaged("a list without items")
            items += found
            more = meta.get("continue") or ""
            if not more:
                return Listing(tuple(items), str(meta.get("resourceVersion") or ""))

    async def create(
        self, path: str, body: Object, query: Query | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> Object:
        """Make an object, at the path of its kind. See `get` for the rest."""
        return await self._object("POST", path, query, body, timeout_s=timeout_s)

    async def replace(
        self, path: str, body: Object, query: Query | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> Object:
        """Replace an object. See `get` for the rest."""
        return await self._object("PUT", path, query, body, timeout_s=timeout_s)

    async def patch(
        self, path: str, body: object, kind: Patch, query: Query | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> Object:
        """Change an object.

        Args:
            path: See `devloop.kube.paths.of`.
            body: What to change, in the form that `kind` says.
            kind: The form.
            query: Such as `fieldManager`.
            timeout_s: Until the whole answer is there.

        Raises:
            ClusterError: See `get`.
        """
        return await self._object("PATCH", path, query, body, kind.value, timeout_s=timeout_s)

    async def delete(
        self, path: str, body: Object | None = None, query: Query | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> Object:
        """Delete an object; `body` may be DeleteOptions. See `get` for the rest."""
        return await self._object("DELETE", path, query, body, timeout_s=timeout_s)

    async def version(self, *, timeout_s: float = TIMEOUT_S) -> Version:
        """Return the API server's version.

        Raises:
            ClusterError: See `get`.
        """
        told = await self.get("/version", timeout_s=timeout_s)
        numbers = ["".join(filter(str.isdigit, str(told.get(key, "")))) for key in ("major", "minor")]
        if not all(numbers):
            raise self._damaged("no version")
        return Version(int(numbers[0]), int(numbers[1]), str(told.get("gitVersion", "")))

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, query: Query | None = None, *, silence_s: float, opening_s: float = TIMEOUT_S
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Open an answer that goes on: a watch, a log.

        Args:
            path: See `devloop.kube.paths.of`.
            query: Its parameters.
            silence_s: After so long without a byte reading raises TimeoutError.
            opening_s: Until the answer has begun, which for a log may be with its first line.

        Yields:
            Its body. What reading it raises is of `TROUBLE`; see `failures.of_exception`.

        Raises:
            ClusterError: See `get`.
        """
        limits = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_read=silence_s)
        try:
            async with asyncio.timeout(opening_s):
                answer = await self._answered("GET", path, query, None, "", limits)
        except TimeoutError as error:
            raise failures.of_exception(error, self.cluster.server) from None
        if answer.connection is not None:
            sockets.expect_small_records(answer.connection.transport)
        try:
            yield answer.content
        finally:
            # A stream has no end to wait for, so its connection is not used again.
            answer.close()

    async def websocket(
        self, path: str, query: Query, protocols: Sequence[str], *, max_bytes: int, timeout_s: float
    ) -> Websocket:
        """Open a websocket. Pings and pongs are the caller's: it gets them as messages.

        Args:
            path: See `devloop.kube.paths.of`.
            query: Its parameters.
            protocols: The subprotocols, the best first.
            max_bytes: The largest message to accept.
            timeout_s: Until the API server and the kubelet have agreed.

        Raises:
            ClusterError: See `get`.
        """
        grant = await self._grants.current()
        for last in (False, True):
            try:
                async with asyncio.timeout(timeout_s):
                    opened = await self._session.ws_connect(
                        self._url(path, query),
                        protocols=protocols,
                        autoping=False,
                        max_msg_size=max_bytes,
                        # A close that is not answered holds up a reconnect; the socket is closed all the same.
                        timeout=aiohttp.ClientWSTimeout(ws_close=0.25),
                        headers=grant.headers,
                        **self._way(grant),
                    )
                    assert isinstance(opened, Websocket), "the session makes no others"
                    return opened
            except aiohttp.WSServerHandshakeError as refused:
                renewed = await self._grants.renewed(grant) if refused.status == 401 and not last else None
                if renewed is None:
                    raise await self._refusal(path, query, refused) from None
                grant = renewed
            except TROUBLE as error:
                raise failures.of_exception(error, self.cluster.server) from None
        raise AssertionError("the second round returns or raises")

    async def _refusal(self, path: str, query: Query, refused: aiohttp.WSServerHandshakeError) -> errors.ClusterError:
        """Tell why an upgrade was refused: the same request without the upgrade is answered with the reason."""
        try:
            await self.get(path, query, timeout_s=CONNECT_TIMEOUT_S)
        except errors.ClusterError as error:
            # Where only the upgrade is missing in it, the answer says nothing about the refusal.
            if isinstance(error, errors.NotThereError):
                return await self._explained(path, error)
            if error.status == refused.status or error.status in {401, 403}:
                return error
        status = failures.Status(f"the upgrade to a websocket was refused with {refused.status}", "", refused.status)
        return failures.of_status(status, paths.asked("GET", path))

    async def _explained(self, path: str, error: errors.NotThereError) -> errors.NotThereError:
        asked = paths.asked("GET", path)
        if not asked.name:
            return error
        names: Sequence[str] = ()
        hint = ""
        try:
            page = await self.get(paths.collection(path), {"limit": str(_MAX_NEAR)})
            names = [str(item["metadata"]["name"]) for item in page.get("items") or []]
        except errors.NotThereError as unknown:
            # It is the kind that does not exist.
            return unknown
        except (errors.ClusterError, LookupError, TypeError):
            # Without the right to list there are no near names.
            pass
        if not names and asked.namespace and asked.resource != "namespaces":
            hint = await self._namespace_hint(asked.namespace)
        return failures.missing(asked, names, hint=hint)

    async def _namespace_hint(self, namespace: str) -> str:
        try:
            await self.get(paths.of("v1", "namespaces", name=namespace))
        except errors.NotThereError:
            told = await self._explained(paths.of("v1", "namespaces", name=namespace), errors.NotThereError(""))
            return f"the namespace {namespace} does not exist; {told.hint}"
        except errors.ClusterError:
            # Not everybody may read namespaces.
            return ""
        return f"the namespace {namespace} has none of them; check -n and --context"

    async def _object(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: object = None,
        content_type: str = "application/json",
        *,
        timeout_s: float,
    ) -> Object:
        limits = aiohttp.ClientTimeout(total=timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
        answer = await self._answered(method, path, query, body, content_type, limits)
        try:
            async with answer:
                decoded = msgspec.json.decode(await _body(answer, _MAX_BODY_BYTES))
        except TROUBLE as error:
            raise failures.of_exception(error, self.cluster.server) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._damaged("what is no JSON") from None
        if not isinstance(decoded, dict):
            raise self._damaged("no object")
        return decoded

    async def _answered(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: object,
        content_type: str,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Return the answer to a request if it is a success, else raise; after a 401 ask once more."""
        grant = await self._grants.current()
        data = None if body is None else msgspec.json.encode(body)
        headers = [("Accept", "application/json"), *([("Content-Type", content_type)] if data is not None else [])]
        watching = bool(query and query.get("watch"))
        for last in (False, True):
            try:
                answer = await self._session.request(
                    method,
                    self._url(path, query),
                    # A file, because aiohttp warns of large bytes; there are none that would hold up the loop.
                    data=None if data is None else io.BytesIO(data),
                    headers=[*headers, *grant.headers],
                    timeout=limits,
                    allow_redirects=False,
                    **self._way(grant),
                )
                self._note_clock(answer)
                if 200 <= answer.status < 300:
                    return answer
                async with answer:
                    refusal = await _body(answer, _MAX_ERROR_BYTES)
            except TROUBLE as error:
                raise failures.of_exception(error, self.cluster.server) from None
            renewed = await self._grants.renewed(grant) if answer.status == 401 and not last else None
            if renewed is None:
                asked = paths.asked(method, path, watching=watching)
                raise failures.of_answer(answer.status, refusal, asked, self.cluster.server)
            grant = renewed
        raise AssertionError("the second round returns or raises")

    def _way(self, grant: credentials.Grant) -> dict[str, Any]:
        way: dict[str, Any] = {"proxy": self.cluster.proxy or None}
        if self.cluster.server.startswith("https:"):
            context = self._contexts.get(grant.certificate)
            if context is None:
                # Of old certificates nothing is kept; connections that are open keep what they need.
                self._contexts.clear()
                context = self._contexts[grant.certificate] = tls.context(self.cluster.tls, grant.certificate)
            way |= {"ssl": context, "server_hostname": self.cluster.tls.server_name or None}
        return way

    def _url(self, path: str, query: Query | None) -> yarl.URL:
        # Encoded here, so that a name is never taken for a part of the path.
        asked = f"?{urlencode(query, doseq=True)}" if query else ""
        return yarl.URL(f"{self.cluster.server}{path}{asked}", encoded=True)

    def _note_clock(self, answer: aiohttp.ClientResponse) -> None:
        with contextlib.suppress(KeyError, ValueError, TypeError, OverflowError):
            self.skew_s = email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()

    def _damaged(self, what: str) -> errors.ClusterError:
        return errors.UnreachableError(
            f"the API server {self.cluster.server} answered with {what}",
            hint="something between here and there may answer in its place: a proxy, a login page",
            code=failures.STRANGER_CODE,
        )


@contextlib.asynccontextmanager
async def connect(cluster: config.Cluster, reread: Callable[[], config.Cluster] | None = None) -> AsyncIterator[Client]:
    """Make a client for a cluster; nothing is sent yet.

    Args:
        cluster: From `devloop.kube.config.load`.
        reread: Loads it again, for a login after which the kubeconfig has another token.
    """
    connector = aiohttp.TCPConnector(limit=0, socket_factory=sockets.make, keepalive_timeout=30)
    async with aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": f"devloop/{devloop.__version__}"},
        # The environment's proxies are in `cluster`; a .netrc has no place here.
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        ws_response_class=Websocket,
    ) as session:
        yield Client(cluster, credentials.Credentials(cluster, reread), session)


async def _body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    parts, size = [], 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > limit:
            answer.close()
            if limit == _MAX_ERROR_BYTES:
                break
            raise aiohttp.ClientPayloadError(f"more than {limit} bytes")
    return b"".join(parts)
