"""What went wrong with a request, as errors for people.

Pure: an answer's status and body, or an exception, in; a `ClusterError` out. The wording is devloop's, with the API
server's own words where they say more. Nothing here sees credentials, so nothing here can show them.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from devloop import errors
from devloop.kube import paths

NAME_CODE: Final = "DL0741"
TLS_CODE: Final = "DL0742"
STRANGER_CODE: Final = "DL0743"

# What aiohttp says of an answer that was under way when its connection ended.
_UNFINISHED: Final = "payload is not completed"
BUSY_CODE: Final = "DL0744"

# How RBAC words a refusal (k8s.io/apiserver, `responsewriters.forbiddenMessage`); other refusals with 403 are of
# admission: a quota, a policy, a namespace that is being deleted.
_CANNOT: Final = re.compile(
    r'cannot (?P<verb>[a-z*]+) resource "(?P<resource>[^"/]+)(?:/(?P<sub>[^"]+))?" in API group "(?P<group>[^"]*)"'
)
# A websocket's second check, for `create` after that for `get`, tells neither user nor verb (kubernetes 1.35,
# pkg/registry/core/pod/rest/authorize.go).
_STREAMS: Final = frozenset({"exec", "attach", "portforward"})
_UNSAID: Final = re.compile(r'^pods "[^"]*" is forbidden:\s*$')
_MAX_WORDS: Final = 600


class Status(msgspec.Struct, frozen=True):
    """A `metav1.Status`, the part of it that is used.

    Attributes:
        message: The API server's words.
        reason: Its word for the kind of failure, such as `Expired`.
        code: The HTTP status that it stands for; 0 where it says none.
        causes: What it says more exactly (`details.causes`), such as which budget forbids an eviction.
    """

    message: str = ""
    reason: str = ""
    code: int = 0
    causes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The message, and those of its causes that it does not tell itself."""
        more = "; ".join(each for each in self.causes if each not in self.message)
        return (f"{self.message} ({more})" if more else self.message)[:_MAX_WORDS]


def status_of(body: Mapping[str, Any]) -> Status:
    """Return the Status that a decoded body is, empty where it is none."""
    try:
        found = msgspec.convert({key: body[key] for key in ("message", "reason", "code") if body.get(key)}, Status)
    except msgspec.ValidationError:
        return Status()
    return msgspec.structs.replace(found, causes=_causes(body))


def _causes(body: Mapping[str, Any]) -> tuple[str, ...]:
    details = body.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    listed = [each.get("message") for each in causes if isinstance(each, dict)] if isinstance(causes, list) else []
    return tuple(each for each in listed if isinstance(each, str) and each)


def of_answer(code: int, body: bytes, asked: paths.Asked, server: str) -> errors.ClusterError:
    """Return the error for an answer that is no success.

    Args:
        code: The HTTP status.
        body: What was answered.
        asked: What was asked for.
        server: The API server's URL, for messages.
    """
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        decoded = None
    if not isinstance(decoded, dict) or not 400 <= code < 600:
        if code in {401, 403, 404} or (code >= 400 and asked.subresource):
            # The kubelet and the authenticating layer answer in plain text.
            return of_status(Status(_plain(body), "", code), asked)
        return _stranger(code, body, server)
    found = status_of(decoded)
    return of_status(msgspec.structs.replace(found, code=code), asked)


def of_status(status: Status, asked: paths.Asked) -> errors.ClusterError:
    """Return the error for a Status, whether it was an answer or came later, on a watch or a channel."""
    words, code, reason = status.words, status.code, status.reason
    if code == 401:
        return errors.CredentialsError(
            "the API server does not accept your credentials", hint=LOGIN_HINT, status=code, reason=reason
        )
    if code == 403:
        return _forbidden(words, asked, reason)
    if code == 404:
        return missing(asked, (), words, reason)
    if code == 409:
        return errors.ConflictError(
            words or f"{_thing(asked)} was changed meanwhile", status=code, reason=reason, words=words
        )
    if code in {429, 500, 502, 503, 504}:
        return errors.UnreachableError(
            f"the API server cannot do this now ({code}): {words or reason or 'no reason given'}",
            hint="wait a little and try again",
            code=BUSY_CODE,
            status=code,
            reason=reason,
            words=words,
        )
    if code in {400, 405, 413, 415, 422}:
        return errors.RefusedError(
            f"the API server refused to {asked.verb} {_thing(asked)}: {words or reason}",
            status=code,
            reason=reason,
            words=words,
        )
    return errors.ClusterError(
        f"the API server answered {code}: {words or reason}", status=code, reason=reason, words=words
    )


LOGIN_HINT: Final = "log in to the cluster again; `kubectl auth whoami` or `kubectl get pods` tells when it works"


def missing(
    asked: paths.Asked, near: Sequence[str], words: str = "", reason: str = "", hint: str = ""
) -> errors.NotThereError:
    """Return the error for something that does not exist.

    Args:
        asked: What was asked for.
        near: The names that there are.
        words: The API server's own.
        reason: Its word for it.
        hint: Goes before the near names.
    """
    if not asked.name:
        message = f"the cluster has no {asked.resource or 'such path'}"
        if asked.group:
            message += f".{asked.group}"
            hint = hint or "the kind may need something that is not installed there, or be of another version"
        return errors.NotThereError(message, hint=hint or words, status=404, reason=reason)
    close = difflib.get_close_matches(asked.name, near, 3)
    if not hint and close:
        hint = f"did you mean {' or '.join(close)}?"
    elif not hint and near:
        more = f" and {len(near) - 5} more" if len(near) > 5 else ""
        hint = f"there are {', '.join(sorted(near)[:5])}{more}"
    hint = hint or "check the name, -n and --context"
    where = f" in namespace {asked.namespace}" if asked.namespace else ""
    message = f"there is no {_singular(asked.resource)} {asked.name}{where}"
    return errors.NotThereError(message, hint=hint, status=404, reason=reason or "NotFound")


def of_exception(error: BaseException, server: str) -> errors.ClusterError:
    """Return the error for a request that got no answer.

    Args:
        error: What aiohttp, `ssl` or asyncio raised.
        server: The API server's URL, for messages.
    """
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        host = error.host
        return errors.UnreachableError(
            f"the name {host} cannot be resolved", hint="check the network, the VPN and the kubeconfig", code=NAME_CODE
        )
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return _untrusted(error, server)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return errors.UnreachableError(
            f"the proxy on the way to {server} refused: {error.status} {error.message}",
            hint="check proxy-url in the kubeconfig and HTTPS_PROXY; NO_PROXY exempts a host",
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return errors.UnreachableError(
            f"the proxy on the way to {server} does not answer", hint="check proxy-url and HTTPS_PROXY"
        )
    if isinstance(error, aiohttp.ClientPayloadError) and _UNFINISHED in str(error):
        return errors.UnreachableError(f"the connection to the API server {server} was cut")
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError | aiohttp.http.HttpProcessingError):
        return errors.UnreachableError(
            f"what came from {server} is damaged: {_plain(str(error).encode())}", code=STRANGER_CODE
        )
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        words = "did not answer in time"
    else:
        words = f"does not answer: {_cause(error)}"
    return errors.UnreachableError(f"the API server {server} {words}", hint="check the network, the VPN and --context")


def _cause(error: BaseException) -> str:
    inner = getattr(error, "os_error", None) or error
    number = getattr(inner, "errno", None)
    if number and number > 0:
        # The exception's own text may hold the call and its address.
        return os.strerror(number)
    return str(inner) or ("the connection was cut" if isinstance(inner, ConnectionError) else type(inner).__name__)


def _forbidden(words: str, asked: paths.Asked, reason: str) -> errors.ClusterError:
    said = _CANNOT.search(words)
    if said is None and words and "forbidden: User" not in words and asked.verb not in {"get", "list", "watch"}:
        return errors.RefusedError(words, hint=_admission_hint(words), status=403, reason=reason, words=words)
    if said is not None:
        asked = msgspec.structs.replace(
            asked, verb=said["verb"], resource=said["resource"], group=said["group"], subresource=said["sub"] or ""
        )
    elif asked.subresource in _STREAMS and _UNSAID.match(words):
        asked = msgspec.structs.replace(asked, verb="create")
    where = f" in namespace {asked.namespace}" if asked.namespace else ""
    resource = f"{asked.kind()}.{asked.group}" if asked.group else asked.kind()
    return errors.ForbiddenError(
        f"you may not {asked.verb} {resource or 'this'}{where}",
        hint=f"ask for that right, then check it with: {asked.can_i()}",
        status=403,
        reason=reason,
    )


def _admission_hint(words: str) -> str:
    if "exceeded quota" in words:
        return "free some of the quota: `kubectl describe quota` shows what uses it"
    if "being terminated" in words:
        return "wait until the namespace is gone, then make it again"
    return "an admission rule of the cluster denies it; whoever runs the cluster can say why"


def _untrusted(error: BaseException, server: str) -> errors.UnreachableError:
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    words = getattr(inner, "verify_message", None) or getattr(inner, "reason", None) or str(inner)
    return errors.UnreachableError(
        f"no trusted connection to {server}: {words}",
        hint="check certificate-authority and tls-server-name in the kubeconfig, and this machine's clock",
        code=TLS_CODE,
    )


def _stranger(code: int, body: bytes, server: str) -> errors.ClusterError:
    if code in {429, 502, 503, 504}:
        return errors.UnreachableError(
            f"the API server {server} is not there: {code} {_plain(body)}",
            hint="it may be starting; wait a little",
            code=BUSY_CODE,
            status=code,
        )
    return errors.UnreachableError(
        f"what answers at {server} is not a Kubernetes API server ({code}): {_plain(body)}",
        hint="check `server` and `proxy-url` in the kubeconfig; a VPN or a login page may be in between",
        code=STRANGER_CODE,
        status=code,
    )


def _thing(asked: paths.Asked) -> str:
    where = f" in namespace {asked.namespace}" if asked.namespace else ""
    name = f" {asked.name}" if asked.name else ""
    return f"{asked.kind()}{name}{where}"


def _singular(resource: str) -> str:
    for ending, singular in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if resource.endswith(ending):
            return resource.removesuffix(ending) + singular
    return resource


def _plain(body: bytes) -> str:
    text = " ".join(body[:2000].decode("utf-8", "replace").split())
    return "".join(char for char in text if char.isprintable())[:200]
