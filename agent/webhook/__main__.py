"""`python -m agent.webhook`: the admission webhook and the sweeper, in one process."""

from __future__ import annotations

import asyncio
import datetime
import functools
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from agent.webhook import authority, mutation, patches, server, settings, sweeper
from devloop import errors
from devloop.kube import client, config
from devloop.podspec import request

_START_S: Final = 60.0
# Less than the pod's own grace period; calls of the API server take 5 s at most.
_STOP_S: Final = 6.0

_log = logging.getLogger("devloop.webhook")


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM, and return the exit status."""
    told = settings.parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(_run(told))
    except errors.DevloopError as error:
        _log.error("%s", error.message)
        return int(error.exit_status)
    except TimeoutError:
        _log.error("the API server did not answer in %s s", _START_S)
        return int(errors.Exit.UNREACHABLE)
    return 0


async def _run(told: settings.Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with client.connect(config.load(config.Choice())) as api:
        async with asyncio.timeout(_START_S):
            version = await api.version()
            context = authority.fresh_context()
            look = _look(api, told, functools.partial(authority.load, context))
            await look()
        chart = mutation.Chart(told.agent_image, request.KubeVersion(version.major, version.minor), told.allow_dial)
        runner = web.AppRunner(server.Webhook(api, chart).app(), access_log=None, shutdown_timeout=_STOP_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, None, told.port, ssl_context=context).start()
            _log.info("listening on %s for Kubernetes %s", told.port, version.text)
            memory = sweeper.Memory(told.silence_s)
            async with asyncio.TaskGroup() as group:
                tasks = (
                    group.create_task(authority.keep(look)),
                    group.create_task(sweeper.run(api, version, memory, every_s=told.sweep_s)),
                    group.create_task(patches.run(api, told.restore_in, every_s=told.sweep_s)),
                )
                await stopped.wait()
                for task in tasks:
                    task.cancel()
        finally:
            await runner.cleanup()


def _look(
    api: client.Client, told: settings.Settings, loaded: Callable[[str, str], None]
) -> Callable[[], Awaitable[None]]:
    if told.tls_dir:
        return authority.mounted(told.tls_dir, loaded)
    return functools.partial(authority.ensure, api, told.place, _now, loaded)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
