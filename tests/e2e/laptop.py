"""A laptop: a project of its own, a state folder of its own, and devloop run as a process in it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.e2e import cluster

# The whole of a verb that waits for pods.
VERB_S: Final = 120.0

_RUN: Final = "import sys; sys.path.insert(0, sys.argv.pop(1)); from devloop.cli.main import main; main()"


class Ended(msgspec.Struct, frozen=True):
    """How a verb ended."""

    status: int
    out: str
    err: str


class Laptop:
    """One laptop.

    Args:
        folder: Its files; made where it is missing.
        user: Whose kubeconfig it has.
        config: devloop.yaml, without version and namespace.
        host: Whom others see.
    """

    def __init__(self, folder: Path, user: cluster.Kubectl, config: dict[str, Any], host: str = "ann") -> None:
        self.folder = folder / "shop"
        self.folder.mkdir(parents=True)
        self._home = folder
        self._user = user
        self._host = host
        # YAML is a superset of JSON.
        made = {"version": 1, "namespace": user.namespace, **config}
        (self.folder / "devloop.yaml").write_text(json.dumps(made))

    def write(self, path: str, text: str) -> None:
        """Save a file of the project."""
        there = self.folder / path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)

    def __call__(self, *arguments: str, timeout_s: float = VERB_S, agent_image: str = "") -> Ended:
        """Run a verb to its end."""
        argv, env = self._command(arguments, agent_image)
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def watching(self, *arguments: str, agent_image: str = "") -> Iterator[Watch]:
        """Run `devloop watch`; on leaving it is ended where it still runs."""
        argv, env = self._command(("watch", "-o", "json", *arguments), agent_image)
        log = self._home / "watch.err"
        with (
            log.open("w") as err,
            subprocess.Popen(
                argv, cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=err, text=True, stdin=subprocess.DEVNULL
            ) as process,
        ):
            try:
                yield Watch(process, log)
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    try:
                        process.wait(30)
                    except subprocess.TimeoutExpired:
                        process.kill()

    def _command(self, arguments: tuple[str, ...], agent_image: str) -> tuple[list[str], dict[str, str]]:
        argv = [sys.executable, "-P", "-c", _RUN, str(cluster.REPO), *arguments]
        env = {key: text for key, text in os.environ.items() if not key.startswith(("DEVLOOP_", "XDG_"))}
        env |= {
            "DEVLOOP_STATE_DIR": str(self._home / "state"),
            "DEVLOOP_KUBECONFIG": str(self._user.kubeconfig),
            "HOME": str(self._home),
            "LOGNAME": self._host,
            "NO_COLOR": "1",
        }
        if agent_image:
            env["DEVLOOP_AGENT_IMAGE"] = agent_image
        return argv, env


class Watch:
    """A running watch and the events that it prints."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log
        self.seen: list[dict[str, Any]] = []

    def until(self, accept: Callable[[dict[str, Any]], bool], what: str, timeout_s: float = 90.0) -> dict[str, Any]:
        """Read events until one is as wanted, and return it."""
        timer = threading.Timer(timeout_s, self.process.kill)
        timer.start()
        try:
            assert self.process.stdout is not None
            for line in self.process.stdout:
                self.seen.append(json.loads(line))
                if accept(self.seen[-1]):
                    return self.seen[-1]
        finally:
            timer.cancel()
        last = "\n".join(json.dumps(each) for each in self.seen[-20:])
        raise AssertionError(f"waited for {what}; the watch ended\n{last}\n{self._log.read_text()}")

    def until_ready(self) -> None:
        """Wait until everything is in sync for the first time."""
        self.until(lambda event: event["event"] == "ready", "ready")
