"""The command line of `python -m agent.webhook`, which the chart writes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from agent.webhook import authority
from devloop.core import allowlist


class Settings(msgspec.Struct, frozen=True):
    """What the chart decides.

    Attributes:
        agent_image: The agent's image.
        place: The webhook's own objects.
        tls_dir: Where cert-manager's Secret is mounted; empty where the webhook makes its certificate itself.
        port: Where it listens.
        silence_s: After so long without a heartbeat a session ends.
        sweep_s: How often that is looked after.
        allow_dial: What agents may dial besides the pod and its namespace.
        restore_in: The namespaces in which patches are restored that nobody renews.
    """

    agent_image: str
    place: authority.Place
    tls_dir: str = ""
    port: int = 8443
    silence_s: float = 300.0
    sweep_s: float = 20.0
    allow_dial: tuple[str, ...] = ()
    restore_in: tuple[str, ...] = ()


def parse(argv: Sequence[str]) -> Settings:
    """Return the settings; a wrong command line ends the process, with status 2, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m agent.webhook", description="Injects devloop's agent into the pods of sessions"
    )
    parser.add_argument("--agent-image", required=True, help="the agent's image")
    parser.add_argument("--namespace", required=True, help="the webhook's own namespace")
    parser.add_argument("--service", required=True, help="the webhook's Service")
    parser.add_argument("--secret", required=True, help="the Secret for certificate and key")
    parser.add_argument("--configuration", required=True, help="the MutatingWebhookConfiguration")
    parser.add_argument("--tls-dir", default="", help="a mounted certificate, instead of an own one")
    parser.add_argument("--port", type=int, default=8443, help="where to listen")
    parser.add_argument("--silence", type=_seconds, default=300.0, help="seconds until a silent session ends")
    parser.add_argument("--sweep", type=_seconds, default=20.0, help="seconds between two looks")
    parser.add_argument("--allow-dial", type=_entries, default=(), help="what agents may dial beyond: a list in JSON")
    parser.add_argument("--restore-in", default="", help="namespaces with patches to restore, separated by commas")
    told = parser.parse_args(argv)
    return Settings(
        agent_image=told.agent_image,
        place=authority.Place(told.namespace, told.service, told.secret, told.configuration),
        tls_dir=told.tls_dir,
        port=told.port,
        silence_s=told.silence,
        sweep_s=told.sweep,
        allow_dial=told.allow_dial,
        restore_in=tuple(dict.fromkeys(each for each in told.restore_in.split(",") if each)),
    )


def _entries(text: str) -> tuple[str, ...]:
    try:
        found = msgspec.json.decode(text, type=tuple[str, ...])
        for entry in found:
            allowlist.parse(entry)
    except (msgspec.MsgspecError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{error}; {allowlist.HINT}") from error
    return found


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 86400:
        raise argparse.ArgumentTypeError("between 1 and 86400 seconds")
    return value
