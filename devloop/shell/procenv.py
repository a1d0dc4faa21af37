"""A container's variables from its running process, by exec: also what the image and its entrypoint set.

Process 1 of the container, or the app under devloop's launcher. Needs no right but exec, and no more of the image than
`cat`; the tools volume's busybox has one, too. A process that writes its title over its variables, as PostgreSQL does,
leaves little to be read; what is no `NAME=VALUE` is left out.
"""

from __future__ import annotations

import re
from typing import Final

from devloop import errors
from devloop.kube import client, execute
from devloop.podspec import names
from devloop.shell import find

_TIMEOUT_S: Final = 15.0
_STATE: Final = re.compile(rb"[a-z]+ ([1-9]\d{0,8}) ")


async def read(api: client.Client, found: find.Found) -> dict[str, str]:
    """Return the variables of the app's process.

    Args:
        api: The cluster.
        found: The container.

    Raises:
        ExecError: They cannot be read: no `cat`, another user's process, nothing in it.
        ClusterError: See `Client.websocket`.
    """
    cat = (names.BUSYBOX, "cat") if found.tools else ("cat",)
    pid = b"1"
    if found.tools:
        state = await execute.run(api, found.where, (*cat, f"{names.RUN_AT}/state"), timeout_s=_TIMEOUT_S)
        launched = _STATE.match(state.stdout)
        # Before its first start it has no process, and the launcher's own variables are the container's.
        pid = launched[1] if launched else pid
    path = f"/proc/{pid.decode()}/environ"
    done = await execute.run(api, found.where, (*cat, path), timeout_s=_TIMEOUT_S)
    if done.status:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise errors.ExecError(
            f"{path} in {found.where.pod} cannot be read: {said[-1] if said else f'exit {done.status}'}",
            hint="the process may be another user's; `--from spec` reads the pod's spec",
        )
    made = parse(done.stdout)
    if not made:
        raise errors.ExecError(
            f"the process in {found.where.pod} shows no variables", hint="`--from spec` reads the pod's spec"
        )
    return made


def parse(raw: bytes) -> dict[str, str]:
    """Return the variables of /proc/PID/environ (proc(5)): the first of a name counts, as for getenv."""
    made: dict[str, str] = {}
    for entry in raw.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if name and equals:
            made.setdefault(name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
    return made
