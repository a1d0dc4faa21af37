"""`devloop proxy`: the names and addresses of the cluster for programs on the laptop, as long as it runs."""

from __future__ import annotations

import click

from devloop import errors
from devloop.cli import asking, options, output


@click.command("proxy", cls=options.Verb, formats=("text", "json", "name"))
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="The local port; 1080, or the next free one.")
@options.pass_settings
def command(settings: options.Settings, port: int | None) -> int:
    """Offer a SOCKS5 and HTTP proxy on 127.0.0.1 until it is ended (Ctrl-C).

    Names are resolved in the cluster: `web`, `web.NAMESPACE`, `web.NAMESPACE.svc`. What may be reached is decided by
    the agent in the pod. It goes through the running watch.
    """
    with asking.client_of(settings).hold("proxy", {"port": port}) as (found, until_end):
        address = f"{found['host']}:{found['port']}"
        output.result(settings, found, text=_text(address), names=[address])
        output.human(settings, "Ctrl-C ends it")
        until_end()
    raise errors.LocalError("the watching process has ended, and the proxy with it", hint="run `devloop watch`")


def _text(address: str) -> str:
    return "\n".join(
        [
            f"export ALL_PROXY=socks5h://{address}",
            f"# one command:  curl --proxy socks5h://{address} http://SERVICE:PORT/",
            f"# or by HTTP:   curl --proxy http://{address} http://SERVICE.NAMESPACE.svc:PORT/",
            "# names:        SERVICE, SERVICE.NAMESPACE, SERVICE.NAMESPACE.svc, and addresses, as a pod knows them",
        ]
    )
