"""How to reach Argo CD's own server, and as whom: from devloop.yaml, the environment and the argocd CLI's login.

The token is never asked for and never stored here: `argocd login` does that, or whoever sets `ARGOCD_AUTH_TOKEN`. It is
sent to the configured server alone, and over TLS, except on this machine's own loopback.
Where the CLI keeps its login: `util/localconfig/localconfig.go` of github.com/argoproj/argo-cd.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import yaml

from devloop import errors
from devloop.argocd import application

CODE: Final = "DL1040"

TOKEN: Final = "ARGOCD_AUTH_TOKEN"  # noqa: S105  (a variable's name)
_FOLDER: Final = "ARGOCD_CONFIG_DIR"


class Login(msgspec.Struct, frozen=True):
    """How to reach a server. Holds a secret: never print one.

    Attributes:
        url: The server, without a slash at the end.
        token: Empty where there is none: some servers let everybody read.
        verify: Its certificate is checked.
        authority: Whom to trust besides the system's authorities, PEM; empty for nobody.
        origin: Where the token is from, for people.
    """

    url: str
    token: str = ""
    verify: bool = True
    authority: str = ""
    origin: str = ""


def find(server: str, environ: Mapping[str, str]) -> Login:
    """Return the login to a server.

    Args:
        server: As devloop.yaml names it: a URL, or a host with or without port and path.
        environ: The environment.

    Raises:
        CredentialsError: The server is not one that a token may be sent to, or the CLI's login cannot be read.
    """
    url = url_of(server)
    token = environ.get(TOKEN, "").strip()
    path = config_path(environ)
    known = of_cli(_read(path), url)
    if token:
        return msgspec.structs.replace(known, token=token, origin=TOKEN)
    return msgspec.structs.replace(known, origin=path if known.token else "")


def url_of(server: str) -> str:
    """Return the URL of a server.

    Raises:
        CredentialsError: It has no host, or a token would travel in the clear.
    """
    text = server if "://" in server else f"https://{server}"
    parts = urlsplit(text)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise errors.CredentialsError(
            f"{server!r} is not the address of a server", hint="write argocd.server: https://argocd.example", code=CODE
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise errors.CredentialsError(
            f"{server} would get your token without encryption", hint=f"write https://{parts.netloc}", code=CODE
        )
    return text.rstrip("/")


def config_path(environ: Mapping[str, str]) -> str:
    """Return where the argocd CLI keeps its login."""
    if environ.get(_FOLDER):
        return os.path.join(environ[_FOLDER], "config")
    home = environ.get("HOME", "")
    legacy = os.path.join(home, ".argocd")
    if os.path.isdir(legacy):
        return os.path.join(legacy, "config")
    base = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return os.path.join(base, "argocd", "config")


def of_cli(raw: application.Raw, url: str) -> Login:
    """Return what the CLI knows of a server: the login of its current context, or of another one there.

    Args:
        raw: Its configuration.
        url: The server.
    """
    wanted = _place(url)
    servers = {application.text(each, "server"): each for each in application.mappings(raw, "servers")}
    users = {application.text(each, "name"): each for each in application.mappings(raw, "users")}
    current = application.text(raw, "current-context")
    contexts = sorted(application.mappings(raw, "contexts"), key=lambda each: application.text(each, "name") != current)
    for context in contexts:
        server = servers.get(application.text(context, "server"), {})
        if _place(application.text(server, "server"), application.text(server, "grpc-web-root-path")) == wanted:
            user = users.get(application.text(context, "user"), {})
            return Login(
                url,
                application.text(user, "auth-token"),
                verify=server.get("insecure") is not True,
                authority=_authority(application.text(server, "certificate-authority-data")),
            )
    return Login(url)


def _place(url: str, root: str = "") -> tuple[str, str]:
    """Return the host with its port, and the path, by which servers are told apart."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    host, _, port = parts.netloc.rpartition("@")[2].lower().partition(":")
    standard = "80" if parts.scheme == "http" else "443"
    return f"{host}:{port or standard}", (root or parts.path).strip("/")


def _authority(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(path: str) -> application.Raw:
    try:
        with open(path, encoding="utf-8") as file:
            found: Any = yaml.safe_load(file)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        words = getattr(error, "strerror", None) or type(error).__name__
        raise errors.CredentialsError(
            f"the argocd CLI's login {path} cannot be read: {words}",
            hint=f"run `argocd login` again, or set {TOKEN}",
            code=CODE,
        ) from None
    return found if isinstance(found, Mapping) else {}
