"""A pod as a target: its agent's key by exec, the link through one port-forward.

Both go through the API server, so Kubernetes' own rules decide who may reach an agent; nothing listens on the laptop.
What Kubernetes says about a way that is closed for now becomes a `LinkError`, after which the replica tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from devloop import errors
from devloop.daemon import aftermath
from devloop.kube import client, execute, pods, portforward
from devloop.podspec import names
from devloop.transport import dial
from devloop.wire import driver

# Where the agent of an injected pod listens, on the pod's loopback.
PORT: Final = 7460

# How the agent is asked for its key: the image's own entry, and the folder that only this container mounts.
KEY_COMMAND: Final = ("python", "-m", "agent", "key", "--state", names.KEY_AT)

# How long a try waits for an agent that is not running yet before it says so.
PATIENCE_S: Final = 30.0


# An agent that is being started has no key for a moment: how often, and how long apart, it is asked again.
START_TRIES: Final = 10
START_WAIT_S: Final = 0.2


def key_command(container: str) -> tuple[str, ...]:
    """Return what asks an agent for its key.

    Args:
        container: The agent's container; one that was attached to the running pod has its key in another place.
    """
    return KEY_COMMAND if container == names.AGENT else (*KEY_COMMAND[:-1], names.ATTACHED_KEY_AT)


class PodTarget:
    """One pod's agent.

    Args:
        api: The cluster.
        namespace: The pod's.
        pod: As it was seen first; see `update`.
        container: The app's; empty for the only one.
    """

    def __init__(self, api: client.Client, namespace: str, pod: pods.Pod, container: str = "") -> None:
        self.name = pod.name
        self.container = self
        self._app = container
        self.uid = pod.uid
        self._api = api
        self._namespace = namespace
        self._pod = pod
        self._was_open = False
        self._usable = asyncio.Event()
        self.update(pod)

    def update(self, pod: pods.Pod) -> None:
        """Take up how the pod is now; a try that waits for its agent goes on when it runs."""
        self._pod = pod
        if pod.is_usable:
            self._usable.set()
        else:
            self._usable.clear()

    @property
    def pod(self) -> pods.Pod:
        """The pod as it was seen last."""
        return self._pod

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[driver.Connection, bytes]]:
        """Wait until the agent runs, read its key and connect to it.

        Yields:
            The connection, and the agent's key.

        Raises:
            LinkError: It does not run, or cannot be reached now.
            ClusterError: There is no right to exec or to port-forward, and it was never reached before.
        """
        await self._until_usable()
        try:
            key = await self._key()
            async with portforward.forward(self._api, self._namespace, self.name, PORT) as forward:
                connection = await dial.over(forward, f"pod {self.name}")
                self._was_open = True
                yield connection, key
        except errors.ClusterError as error:
            if isinstance(error, errors.ForbiddenError | errors.CredentialsError) and not self._was_open:
                raise
            # A server that restarts may deny for a moment what it allows.
            raise errors.LinkError(error.message, hint=error.hint, code=error.error_code) from error

    async def run(self, argv: Sequence[str], *, cwd: str, env: dict[str, str], timeout_s: float) -> aftermath.Ran:
        """Run a command in the app's container, by its image's own shell.

        Args:
            argv: The command.
            cwd: Where.
            env: More variables for it.
            timeout_s: After this it is given up; Kubernetes has no way to end it.

        Raises:
            ClusterError: It cannot be run.
            UsageError: Nobody says which container is the app's.
        """
        where = execute.Where(self._namespace, self.name, pods.app_of(self._pod, self._app))
        set_ = [f"{name}={value}" for name, value in env.items()]
        # Exec has no working folder and no variables of its own.
        words = ["sh", "-c", 'cd "$0" && exec "$@"', cwd, *(["env", *set_] if set_ else []), *argv]
        ran = await execute.run(self._api, where, words, timeout_s=timeout_s)
        return aftermath.Ran(ran.status, ran.stdout, ran.stderr)

    async def _until_usable(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._usable.wait()
        except TimeoutError:
            raise errors.LinkError(self._pod.state, code="DL0761") from None

    async def _key(self) -> bytes:
        where = execute.Where(self._namespace, self.name, self._pod.agent.name)
        command = key_command(where.container)
        result = await execute.run(self._api, where, command)
        for _ in range(START_TRIES):
            if not result.status:
                break
            # The container runs, and the agent in it is just being started: its key comes first.
            await asyncio.sleep(START_WAIT_S)
            result = await execute.run(self._api, where, command)
        if result.status:
            said = (result.stderr or result.stdout).decode("utf-8", "replace").strip().splitlines()
            raise errors.LinkError(
                f"the agent in {self.name} does not give its key: {said[-1] if said else f'exit {result.status}'}",
                hint="is the image of container devloop-agent the one of this devloop?",
                code="DL0762",
            )
        return result.stdout
