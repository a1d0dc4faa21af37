"""Which API server, over which way, in which namespace: the user's choice and the project's, made one.

The precedence is kubectl's: --kubeconfig, then KUBECONFIG (a list of files), then ~/.kube/config, then the service
account of the pod that devloop itself may run in. The project's `context:` is a guard, not a choice among them: where
the chosen context differs, nothing is sent anywhere.
"""

from __future__ import annotations

import base64
import binascii
import os
import urllib.request
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from devloop import errors
from devloop.kube import kubeconfig

IN_CLUSTER: Final = "in-cluster"
SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


class Choice(msgspec.Struct, frozen=True):
    """What the command line and the project ask for; every field may be empty.

    Attributes:
        kubeconfig: The value of --kubeconfig.
        context: The value of --context.
        namespace: The value of --namespace.
        project_context: `context:` of devloop.yaml.
        project_namespace: `namespace:` of devloop.yaml.
    """

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    project_context: str = ""
    project_namespace: str = ""


class Tls(msgspec.Struct, frozen=True):
    """How the API server proves who it is.

    Attributes:
        authority_file: A file of trusted certificates; empty where there is none.
        authority: Trusted certificates, PEM; empty where there are none. With neither, the system's are trusted.
        server_name: The name that the certificate must carry; empty for the server's own.
        verify: False trusts everybody.
    """

    authority_file: str = ""
    authority: str = ""
    server_name: str = ""
    verify: bool = True


class Cluster(msgspec.Struct, frozen=True):
    """An API server, and as whom to talk to it. Holds secrets in `user`: never print one.

    Attributes:
        context: The name of the context; `in-cluster` where there is none.
        server: Its URL, without a slash at the end.
        namespace: The one to work in.
        tls: How it proves who it is.
        proxy: The URL of an HTTP proxy on the way; empty where there is none.
        user: As whom.
        folder: What the user's relative paths are relative to.
        files: The kubeconfig files.
        info: What a credential plugin may learn about the cluster.
    """

    context: str
    server: str
    namespace: str
    tls: Tls
    proxy: str
    user: kubeconfig.User
    folder: str = ""
    files: tuple[str, ...] = ()
    info: kubeconfig.Cluster = kubeconfig.Cluster()


def load(choice: Choice, environ: Mapping[str, str] = os.environ, *, service_account: str = SERVICE_ACCOUNT) -> Cluster:
    """Resolve the choice. Reads small files.

    Args:
        choice: What is asked for.
        environ: The environment.
        service_account: Where a pod finds its own account.

    Raises:
        ContextError: The chosen context is not the project's.
        KubeconfigError: There is no usable kubeconfig.
    """
    explicit = bool(choice.kubeconfig)
    merged = kubeconfig.read(files(choice, environ), explicit=explicit)
    if merged is None:
        if environ.get("KUBERNETES_SERVICE_HOST") and not choice.context:
            return _guarded(_in_cluster(choice, environ, service_account), choice)
        raise errors.KubeconfigError(
            "no kubeconfig was found",
            hint="name one with --kubeconfig or KUBECONFIG; it is the file that kubectl uses, ~/.kube/config",
        )
    chosen = merged.choose(choice.context)
    return _guarded(_resolved(chosen, choice, environ), choice)


def files(choice: Choice, environ: Mapping[str, str]) -> list[str]:
    """Return the kubeconfig files to read, in order of precedence; some may not exist."""
    if choice.kubeconfig:
        return [os.path.expanduser(choice.kubeconfig)]
    listed = [name for name in environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    home = environ.get("HOME") or os.path.expanduser("~")
    return [os.path.expanduser(name) for name in listed] or [os.path.join(home, ".kube", "config")]


def _guarded(cluster: Cluster, choice: Choice) -> Cluster:
    wanted = choice.project_context
    if wanted and cluster.context != wanted:
        raise errors.ContextError(
            f"this project belongs to the kube context {wanted!r}, and the chosen one is {cluster.context!r}",
            hint=f"pass --context {wanted}, or `kubectl config use-context {wanted}`",
        )
    return cluster


def _resolved(chosen: kubeconfig.Chosen, choice: Choice, environ: Mapping[str, str]) -> Cluster:
    given = chosen.cluster
    server = _server(given.server, chosen.name)
    if given.insecure_skip_tls_verify and (given.certificate_authority or given.certificate_authority_data):
        raise errors.KubeconfigError(
            f"the cluster of context {chosen.name!r} has both a certificate authority and insecure-skip-tls-verify",
            hint="remove one of them, as kubectl asks for as well",
        )
    file = given.certificate_authority
    tls = Tls(
        authority_file=""
        if given.certificate_authority_data or not file
        else os.path.join(chosen.cluster_folder, file),
        authority=decoded(given.certificate_authority_data, "certificate-authority-data"),
        server_name=given.tls_server_name,
        verify=not given.insecure_skip_tls_verify,
    )
    return Cluster(
        context=chosen.name,
        server=server,
        namespace=choice.namespace or choice.project_namespace or chosen.context.namespace or "default",
        tls=tls,
        proxy=proxy_for(server, given.proxy_url, environ),
        user=chosen.user,
        folder=chosen.user_folder,
        files=chosen.files,
        info=given,
    )


def _server(server: str, context: str) -> str:
    try:
        parts = urlsplit(server if "://" in server or not server else f"http://{server}")
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts.geturl().rstrip("/")
    except ValueError:
        # A port or an IPv6 address that is none.
        pass
    raise errors.KubeconfigError(f"the cluster of context {context!r} has no valid `server`: {server!r}")


def proxy_for(server: str, configured: str, environ: Mapping[str, str]) -> str:
    """Return the proxy to use: the cluster's own, else the one of the environment, as Go's programs do."""
    parts = urlsplit(server)
    if not configured:
        env = {name.lower(): value for name, value in environ.items() if name.lower().endswith("_proxy")}
        host = parts.hostname or ""
        exempt = urllib.request.proxy_bypass_environment(  # type: ignore[attr-defined]
            f"{host}:{parts.port}" if parts.port else host, {"no": env.get("no_proxy", "")}
        )
        loopback = host == "localhost" or host.startswith("127.") or host == "::1"
        configured = "" if exempt or loopback else env.get(f"{parts.scheme}_proxy", "")
        if configured and "://" not in configured:
            configured = f"http://{configured}"
    scheme = urlsplit(configured).scheme if configured else ""
    if configured and scheme not in {"http", "https"}:
        raise errors.KubeconfigError(
            f"devloop cannot use the proxy {scheme}://…",
            hint="proxy-url may be an http or https proxy; for SOCKS put one in front, such as privoxy",
            code=kubeconfig.UNSUPPORTED_CODE,
        )
    return configured


def _in_cluster(choice: Choice, environ: Mapping[str, str], account: str) -> Cluster:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    token, authority = os.path.join(account, "token"), os.path.join(account, "ca.crt")
    if not os.path.isfile(token):
        raise errors.KubeconfigError(
            "no kubeconfig was found, and this pod has no service account token",
            hint="name a kubeconfig, or let the pod have one: automountServiceAccountToken: true",
        )
    try:
        with open(os.path.join(account, "namespace"), encoding="utf-8") as opened:
            own = opened.read().strip()
    except OSError:
        own = ""
    return Cluster(
        context=IN_CLUSTER,
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=choice.namespace or choice.project_namespace or own or "default",
        tls=Tls(authority_file=authority),
        proxy="",
        user=kubeconfig.User(token_file=token),
    )


def decoded(data: str, key: str) -> str:
    """Return what a `…-data` field of a kubeconfig holds.

    Raises:
        KubeconfigError: It is not base64 of text.
    """
    try:
        return base64.b64decode(data, validate=False).decode("ascii")
    except (binascii.Error, ValueError):
        raise errors.KubeconfigError(f"{key} of the kubeconfig is not base64 of a PEM text") from None
