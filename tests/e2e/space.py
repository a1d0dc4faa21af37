"""One test's namespace: what is in it, what becomes of it, and who may do what there."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.e2e import cluster, shapes

# How long a pod may take to come up, images being there already.
POD_S: Final = 60.0

ACCOUNT: Final = "devloop"

# On every namespace of this run, so that another run's on the same cluster are left alone.
LABEL: Final = f"devloop.dev/e2e={secrets.token_hex(4)}"


class Space:
    """A namespace.

    Args:
        whole: The cluster.
        name: The namespace, made by `created`.
        folder: For kubeconfigs.
    """

    def __init__(self, whole: cluster.Cluster, name: str, folder: Path) -> None:
        self.cluster = whole
        self.name = name
        self.folder = folder
        self.admin = cluster.Kubectl(whole.admin.kubeconfig, name)

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Create or change objects, as `kubectl apply` does."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.admin("apply", "-f", "-", told=json.dumps(listed))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object."""
        return self.admin.json("get", kind, name)

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        """Return the pods that a label selector finds."""
        found: list[dict[str, Any]] = self.admin.json("get", "pods", "-l", selector)["items"]
        return found

    def wait(
        self, kind: str, name: str, accept: Callable[[dict[str, Any]], bool], what: str, timeout_s: float = POD_S
    ) -> dict[str, Any]:
        """Watch an object until it is as wanted, and return it.

        Args:
            kind: Such as `pod`.
            name: It may be made meanwhile.
            accept: Whether it is as wanted.
            what: What is waited for, for the message.
            timeout_s: After so many seconds this fails.
        """
        # by selector: what is watched need not be there yet
        selector = f"metadata.name={name}"
        argv = self.admin.argv("get", kind, "--field-selector", selector, "--watch", "-o", "json")
        return self.until(argv, accept, f"{what} of {kind}/{name}", timeout_s)

    def until(
        self, argv: list[str], accept: Callable[[dict[str, Any]], bool], what: str, timeout_s: float = POD_S
    ) -> dict[str, Any]:
        """Read the objects that a watching kubectl prints until one is as wanted, and return it.

        Args:
            argv: The command line.
            accept: Whether it is as wanted.
            what: What is waited for, for the message.
            timeout_s: After so many seconds this fails.
        """
        last: dict[str, Any] = {}
        with self._watching(argv, timeout_s) as states:
            for last in states:
                if accept(last):
                    return last
        said = json.dumps(last.get("status"), indent=1)
        raise AssertionError(f"waited {timeout_s:.0f} s for {what}; last: {said}")

    def ready(self, pod: str, timeout_s: float = POD_S) -> dict[str, Any]:
        """Wait until a pod is ready."""
        return self.wait("pod", pod, is_ready, "ready", timeout_s)

    def finished(self, pod: str, timeout_s: float = POD_S) -> str:
        """Wait until a pod that ends has ended, and return `Succeeded` or `Failed`."""
        ends = ("Succeeded", "Failed")
        seen = self.wait("pod", pod, lambda each: each["status"].get("phase") in ends, "its end", timeout_s)
        return str(seen["status"]["phase"])

    def exec(self, pod: str, *argv: str, container: str = "", told: str = "") -> str:
        """Run a command in a container and return its output. Raises CommandError where it fails."""
        return in_container(self.admin, pod, *argv, container=container, told=told)

    def read(self, pod: str, path: str, container: str = "") -> str:
        """Return a file's text; the container's image has `cat`."""
        return self.exec(pod, "cat", path, container=container)

    def logs(self, pod: str, container: str = "") -> str:
        """Return what a container has said."""
        return self.admin("logs", pod, *(["-c", container] if container else []))

    def description(self) -> str:
        """Return what people look at first when a pod is not as it should be."""
        asked = [
            ("get", "pods", "-o", "wide"),
            ("get", "events", "--sort-by=.metadata.creationTimestamp"),
            ("describe", "pods"),
            *[("logs", pod["metadata"]["name"], "--all-containers", "--tail=50") for pod in self.pods()],
        ]
        return "\n".join(f"$ kubectl {' '.join(each)}\n{self._whatever(*each)}" for each in asked)

    def _whatever(self, *arguments: str) -> str:
        try:
            return self.admin(*arguments)
        except cluster.CommandError as error:
            return str(error)

    def developer(self, *also: str, server: str = "") -> cluster.Kubectl:
        """Return the rights that devloop is given: the Role of config/rbac, and nothing else.

        Args:
            also: Further Roles of config/rbac: `patch`, `attach`.
            server: The API server's address instead of its own one, such as a line of `tests.e2e.weather`.
        """
        for each in ("", *also):
            self.admin("apply", "-k", str(cluster.REPO / "config" / "rbac" / each))
        path = self.folder / f"{ACCOUNT}-{secrets.token_hex(4)}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(kubeconfig(self.admin, self._token(), server)))
        return cluster.Kubectl(path, self.name)

    def _token(self) -> str:
        # The API behind `kubectl create token`, which kubectl has only since 1.24.
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
        path = f"/api/v1/namespaces/{self.name}/serviceaccounts/{ACCOUNT}/token"
        answer = json.loads(self.admin("create", "--raw", path, "-f", "-", told=json.dumps(request)))
        return str(answer["status"]["token"])

    @contextlib.contextmanager
    def _watching(self, argv: list[str], timeout_s: float) -> Iterator[Iterator[dict[str, Any]]]:
        """Run a kubectl that watches; what it prints ends when the time is over."""
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            timer = threading.Timer(timeout_s, process.kill)
            timer.start()
            try:
                assert process.stdout is not None
                yield cluster.documents(process.stdout)
            finally:
                timer.cancel()
                process.kill()


def in_container(kubectl: cluster.Kubectl, pod: str, *argv: str, container: str = "", told: str = "") -> str:
    """Run a command in a container as a user, and return its output."""
    where = ["-c", container] if container else []
    return kubectl("exec", *(["-i"] if told else []), pod, *where, "--", *argv, told=told)


def is_ready(pod: dict[str, Any]) -> bool:
    """Say whether a pod is ready."""
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def container_state(pod: dict[str, Any], container: str) -> dict[str, Any]:
    """Return a container's status; an empty one before it has any."""
    for group in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for each in pod["status"].get(group, []):
            if each["name"] == container:
                return dict(each)
    return {}


def kubeconfig(admin: cluster.Kubectl, token: str, server: str = "") -> dict[str, Any]:
    """Return a kubeconfig of the administrator's cluster for the bearer of a token."""
    theirs = admin.json("config", "view", "--raw", "--minify", "--flatten")["clusters"][0]["cluster"]
    if server:
        theirs = {**theirs, "server": server, "tls-server-name": urlsplit(theirs["server"]).hostname}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": theirs}],
        "users": [{"name": ACCOUNT, "user": {"token": token}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": ACCOUNT, "namespace": admin.namespace}}],
        "current-context": "e2e",
    }


@contextlib.contextmanager
def created(whole: cluster.Cluster, folder: Path) -> Iterator[Space]:
    """Make a namespace; on leaving it is deleted, which nobody waits for."""
    name = f"e2e-{secrets.token_hex(4)}"
    whole.admin("create", "namespace", name)
    space = Space(whole, name, folder)
    try:
        whole.admin("label", "namespace", name, LABEL)
        # Pods that name no account use this one, which a controller makes a moment after the namespace.
        space.wait("serviceaccounts", "default", bool, "the account that pods run as", 30.0)
        yield space
    finally:
        whole.admin("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def until_gone(whole: cluster.Cluster, timeout_s: float = 120.0) -> None:
    """Wait until every namespace of this run is deleted. Raises CommandError where one stays."""
    left = whole.admin("get", "namespaces", "-l", LABEL, "-o", "name").split()
    if left:
        whole.admin("wait", "--for=delete", *left, f"--timeout={timeout_s:.0f}s", timeout_s=timeout_s + 30)


def bare_image(ns: Space, agent_image: str) -> str:
    """Load an image of one static program, /busybox: no libc, no shell, no folders; return its name."""
    # the agent's image brings one along
    taken = "import base64; print(base64.b64encode(open('/usr/share/devloop/busybox', 'rb').read()).decode())"
    ns.apply(shapes.once("busybox", agent_image, "python", "-c", taken))
    assert ns.finished("busybox") == "Succeeded"
    program = ns.folder / "bare" / "busybox"
    program.parent.mkdir()
    program.write_bytes(base64.b64decode(ns.logs("busybox")))
    program.chmod(0o755)
    name = f"localhost/devloop-bare:{hashlib.sha256(program.read_bytes()).hexdigest()[:12]}"
    ns.cluster.folder_image(name, program.parent, ["/busybox"])
    return name


@contextlib.contextmanager
def forwarded(kubectl: cluster.Kubectl, pod: str, port: int) -> Iterator[socket.socket]:
    """Connect to a port in a pod through the API server, as `kubectl port-forward` does; yields the connection."""
    argv = kubectl.argv("port-forward", f"pod/{pod}", f":{port}", "--address", "127.0.0.1")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        timer = threading.Timer(POD_S, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            # "Forwarding from 127.0.0.1:40155 -> 7460"
            if not said.startswith("Forwarding from"):
                raise cluster.CommandError(f"{' '.join(argv)}: {said}")
            with socket.create_connection(("127.0.0.1", int(said.split(" ->")[0].rsplit(":", 1)[1])), 10.0) as opened:
                opened.setblocking(False)
                yield opened
        finally:
            timer.cancel()
            process.kill()
