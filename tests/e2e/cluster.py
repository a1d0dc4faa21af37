"""The cluster under test, through `scripts/cluster` and kubectl with administrator's rights.

devloop itself is never given these rights: see `tests.e2e.space.Space.developer`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

REPO: Final = Path(__file__).resolve().parents[2]

# Long enough for a first `up` that compiles Kubernetes on two cores.
UP_S: Final = 45 * 60.0
COMMAND_S: Final = 120.0


class CommandError(AssertionError):
    """A command failed; the message has its output."""


def run(*argv: str, told: str = "", timeout_s: float = COMMAND_S, env: dict[str, str] | None = None) -> str:
    """Run a command and return its standard output.

    Args:
        argv: The command.
        told: Its standard input.
        timeout_s: It is killed after so many seconds.
        env: Its environment, instead of this process's.

    Raises:
        CommandError: It failed.
    """
    done = subprocess.run(argv, input=told, capture_output=True, text=True, timeout=timeout_s, check=False, env=env)
    if done.returncode:
        raise CommandError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def documents(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the JSON documents that kubectl prints one after the other, each ended by a brace that begins a line."""
    one: list[str] = []
    for line in lines:
        one.append(line)
        if line.rstrip() == "}":
            yield json.loads("".join(one))
            one.clear()


class Version(msgspec.Struct, frozen=True, order=True):
    """A version of Kubernetes."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read `1.30`, `v1.36.2` or what a server says of itself (`1`, `20+`)."""
        found = re.match(r"v?(\d+)\.(\d+)", text)
        if found is None:
            raise ValueError(f"{text!r} is no version of Kubernetes")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Kubectl:
    """kubectl as one user.

    Args:
        kubeconfig: Who, and which cluster.
        namespace: Where, unless a command says otherwise.
    """

    def __init__(self, kubeconfig: Path, namespace: str = "default") -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace

    def argv(self, *arguments: str) -> list[str]:
        """Return a whole command line."""
        return ["kubectl", "--kubeconfig", str(self.kubeconfig), "-n", self.namespace, *arguments]

    def __call__(self, *arguments: str, told: str = "", timeout_s: float = COMMAND_S) -> str:
        """Run kubectl and return its output. Raises CommandError where it fails."""
        return run(*self.argv(*arguments), told=told, timeout_s=timeout_s)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Run kubectl with `-o json`."""
        found: dict[str, Any] = json.loads(self(*arguments, "-o", "json"))
        return found

    def denied(self, asked: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Ask the API server what this user may not do here.

        Args:
            asked: Pairs of a verb and a resource such as `pods/exec` or `deployments.apps`.
        """
        reviews = {"apiVersion": "v1", "kind": "List", "items": [self._review(*each) for each in asked]}
        answers = documents(self("create", "-f", "-", "-o", "json", told=json.dumps(reviews)).splitlines())
        return [each for each, answer in zip(asked, answers, strict=True) if not answer["status"]["allowed"]]

    def _review(self, verb: str, resource: str) -> dict[str, Any]:
        name, _, subresource = resource.partition("/")
        name, _, group = name.partition(".")
        what = {"namespace": self.namespace, "verb": verb, "resource": name, "group": group, "subresource": subresource}
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        return {**kind, "spec": {"resourceAttributes": what}}


class Cluster:
    """A cluster that is up."""

    def __init__(self, kubeconfig: Path, *, own: bool) -> None:
        self.admin = Kubectl(kubeconfig)
        self.own = own
        """Made by `scripts/cluster` from packages: its programs can be stopped and started."""
        self.version = Version.parse(json.loads(self.admin("get", "--raw", "/version"))["gitVersion"])

    @classmethod
    def up(cls) -> Cluster:
        """Start the cluster where that is needed."""
        kubeconfig = Path(script("up", timeout_s=UP_S).strip())
        return cls(kubeconfig, own="provider: own\n" in script("status"))

    def stop(self, part: str) -> None:
        """Stop one program of the cluster, such as `apiserver` or `kubelet`."""
        script("stop", part)

    def start(self, part: str) -> None:
        """Start one program, and wait until it is ready."""
        script("start", part)

    def restart(self, part: str) -> None:
        """Stop and start one program."""
        script("restart", part)

    def folder_image(self, name: str, folder: Path, command: Sequence[str]) -> None:
        """Load an image that holds one folder and nothing else: a distroless app."""
        script("image", name, str(folder), *command)

    def base_image(self) -> str:
        """Load a minimal Debian with Python and a shell, and return its name."""
        if given := os.environ.get("DEVLOOP_E2E_APP_IMAGE"):
            return given
        name = "localhost/devloop-base:bookworm"
        script("base", name, timeout_s=UP_S)
        return name

    def agent_image(self) -> str:
        """Build and load the agent's image from this tree, and return its name."""
        if given := os.environ.get("DEVLOOP_E2E_AGENT_IMAGE"):
            return given
        return run(str(REPO / "scripts" / "image"), timeout_s=UP_S).strip()

    def webhook_image(self) -> str:
        """Build and load the admission webhook's image from this tree, and return its name."""
        if given := os.environ.get("DEVLOOP_E2E_WEBHOOK_IMAGE"):
            return given
        return run(str(REPO / "scripts" / "image"), "--webhook", timeout_s=UP_S).strip()


def script(*arguments: str, timeout_s: float = COMMAND_S) -> str:
    """Run `scripts/cluster`."""
    return run(str(REPO / "scripts" / "cluster"), *arguments, timeout_s=timeout_s)
