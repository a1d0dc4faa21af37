"""Credential plugins: the program that a kubeconfig's `exec` names, run as client-go runs it.

The Python client runs them without a deadline and swallows their errors; here both reach the user. The program gets
no terminal: whoever must type something logs in with kubectl first. Its protocol is `client.authentication.k8s.io`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.kube import kubeconfig

FAILED_CODE: Final = "DL0722"
# Long enough for a login in a browser that the user has in front of them.
TIMEOUT_S: Final = 60.0
_VERSIONS: Final = frozenset({"client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"})
_MAX_OUTPUT_BYTES: Final = 1024 * 1024
_CLUSTER_EXTENSION: Final = "client.authentication.k8s.io/exec"


class Credential(msgspec.Struct, frozen=True, rename="camel"):
    """The `status` of an ExecCredential. Holds secrets: never print one."""

    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime.datetime | None = None


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    status: Credential | None = None


async def run(
    plugin: kubeconfig.Plugin,
    folder: str,
    cluster: kubeconfig.Cluster,
    *,
    environ: Mapping[str, str] = os.environ,
    timeout_s: float = TIMEOUT_S,
) -> Credential:
    """Run a plugin and return what it gives.

    Cancelling kills it, with all that it started.

    Args:
        plugin: What to run.
        folder: What a relative path of its command is relative to.
        cluster: What it may learn about the cluster, where it asks for that.
        environ: The environment that it inherits.
        timeout_s: How long it may take.

    Raises:
        CredentialsError: It gave none.
    """
    if plugin.api_version not in _VERSIONS:
        raise _failed(plugin, f"speaks {plugin.api_version}", "update it: v1 and v1beta1 are understood")
    if plugin.interactive_mode == "Always":
        raise _failed(plugin, "wants a terminal (interactiveMode: Always)", "use one that logs in with a browser")
    status, out, said = await _output(plugin, folder, _environment(plugin, cluster, environ), timeout_s)
    if status:
        raise _failed(plugin, f"ended with status {status}" + (f": {said}" if said else ""))
    try:
        answer = msgspec.json.decode(out, type=_Answer)
    except msgspec.MsgspecError as error:
        raise _failed(plugin, f"did not print an ExecCredential: {error}") from None
    given = answer.status
    if answer.kind != "ExecCredential" or answer.api_version != plugin.api_version:
        raise _failed(plugin, f"printed {answer.api_version} {answer.kind}, not {plugin.api_version} ExecCredential")
    if given is None or not (given.token or (given.client_certificate_data and given.client_key_data)):
        raise _failed(plugin, "gave neither a token nor a certificate with its key")
    return given


def _environment(plugin: kubeconfig.Plugin, cluster: kubeconfig.Cluster, environ: Mapping[str, str]) -> dict[str, str]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.provide_cluster_info:
        spec["cluster"] = _cluster_info(cluster)
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    given = {variable.name: variable.value for variable in plugin.env}
    return {**environ, **given, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}


def _cluster_info(cluster: kubeconfig.Cluster) -> dict[str, Any]:
    known = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": cluster.certificate_authority_data,
        "proxy-url": cluster.proxy_url,
    }
    info: dict[str, Any] = {key: value for key, value in known.items() if value}
    for each in cluster.extensions:
        if each.get("name") == _CLUSTER_EXTENSION:
            info["config"] = each.get("extension")
    return info


async def _output(
    plugin: kubeconfig.Plugin, folder: str, environ: Mapping[str, str], timeout_s: float
) -> tuple[int, bytes, str]:
    command = plugin.command
    if "/" in command and not os.path.isabs(command):
        command = os.path.join(folder, command)
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *plugin.args,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            start_new_session=True,
            limit=_MAX_OUTPUT_BYTES,
        )
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        words = "is not installed, or not on the PATH" if missing else f"cannot be started: {error}"
        raise _failed(plugin, words, plugin.install_hint.strip() if missing else "") from None
    try:
        async with asyncio.timeout(timeout_s):
            out, said = await process.communicate()
    except TimeoutError:
        raise _failed(plugin, f"did not end within {timeout_s:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if len(out) > _MAX_OUTPUT_BYTES:
        raise _failed(plugin, "printed more than a credential")
    return process.returncode or 0, out, " ".join(said[-2000:].decode("utf-8", "replace").split())


def _failed(plugin: kubeconfig.Plugin, words: str, hint: str = "") -> errors.CredentialsError:
    return errors.CredentialsError(
        f"the credential plugin {os.path.basename(plugin.command)} {words}",
        hint=hint or "run `kubectl get pods`, which uses the same plugin, and log in again if it asks for that",
        code=FAILED_CODE,
    )
