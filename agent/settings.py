"""What the agent is told on its command line: its roots, where it listens, where its state is.

Everything that decides where the agent may write comes from here and never from the wire.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from agent import roots
from devloop import errors
from devloop.core import allowlist


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise ValueError(text)
    return number


class Settings(msgspec.Struct, frozen=True):
    """The arguments of `serve`.

    Attributes:
        roots: One for each sync of the service, in order.
        state: Folder for the key, the claim and the app's identity.
        socket: Path of the unix socket to listen on; empty where a port is used.
        port: Port on 127.0.0.1 to listen on; 0 where a socket is used.
        target: The target's folder, on a target of this machine; empty in a pod.
        launcher: The folder in which the app's launcher (scripts/launcher.sh) listens; empty where there is none.
        lifeline: Standard input is a pipe whose end means that the parent is gone.
        allow_dial: What may be dialled besides the pod and its namespace.
    """

    roots: tuple[roots.RootSpec, ...]
    state: str
    socket: str = ""
    port: int = 0
    target: str = ""
    lifeline: bool = False
    launcher: str = ""
    allow_dial: tuple[allowlist.Allowed, ...] = ()


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line. Ends the process with status 2 where it is wrong."""
    parser = argparse.ArgumentParser(prog="agent", description="The pod side of devloop.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    serve = verbs.add_parser("serve", help="apply batches to the roots and run the app")
    serve.add_argument("--roots", required=True, help="JSON list of {to, data, stage, state}")
    serve.add_argument("--state", required=True, help="folder for the key and the agent's own state")
    where = serve.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", default="", help="unix socket to listen on")
    where.add_argument("--port", type=_port, default=0, help="port on 127.0.0.1 to listen on")
    serve.add_argument("--target", default="", help="the target's folder, on a target of this machine")
    serve.add_argument(
        "--launcher", default="", metavar="DIR", help="the app runs under launcher.sh, which listens in DIR"
    )
    serve.add_argument(
        "--allow-dial",
        action="append",
        default=[],
        metavar="NAME|CIDR[:PORT]",
        help="what laptops may connect to through the agent, besides the pod and its namespace's services; repeatable",
    )
    serve.add_argument("--lifeline", action="store_true", help="end with standard input")
    lend = verbs.add_parser("tools", help="copy busybox and the scripts for the app's container")
    lend.add_argument("folder", metavar="DIR", help="where to: the tools volume")
    lend.add_argument("--busybox", default="", metavar="PATH", help="a static busybox; the image's own if not given")
    key = verbs.add_parser("key", help="print the key of the agent that runs here")
    key.add_argument("--state", required=True, help="the folder that `serve` was given")
    return parser.parse_args(argv)


def from_arguments(arguments: argparse.Namespace) -> Settings:
    """Return the settings of parsed `serve` arguments.

    Raises:
        AgentError: The roots or the allow list are not what they should be.
    """
    return Settings(
        roots=roots.parse_specs(arguments.roots),
        state=arguments.state,
        socket=arguments.socket,
        port=arguments.port,
        target=arguments.target,
        lifeline=arguments.lifeline,
        launcher=arguments.launcher,
        allow_dial=_allowed(arguments.allow_dial),
    )


def _allowed(texts: Sequence[str]) -> tuple[allowlist.Allowed, ...]:
    try:
        return tuple(allowlist.parse(text) for text in texts)
    except ValueError as error:
        raise errors.AgentError(f"--allow-dial: {error}", hint=allowlist.HINT, code="DL0608") from None
