"""The admission webhook, installed for one run beside whatever else is on the cluster, and taken away again."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import Iterator
from typing import Any, Final

import yaml

from tests.e2e import cluster, shapes, space
from tests.unit.docs import rendering

NAME: Final = "devloop-admission"
NAMESPACE: Final = "devloop-system"
PLACE: Final = cluster.REPO / "config" / "kustomize" / "admission"
CRD: Final = "devsessions.devloop.dev"

# Long enough for a session to be made and its pod to be up, short enough to wait for.
SILENCE_S: Final = 25


class Installed:
    """What was installed.

    Attributes:
        whole: The cluster.
        name: Of all its objects, and of its namespace.
        agent_image: What it puts into pods.
    """

    def __init__(self, whole: cluster.Cluster, name: str, agent_image: str) -> None:
        self.whole = whole
        self.name = name
        self.agent_image = agent_image
        self.admin = cluster.Kubectl(whole.admin.kubeconfig, name)

    def open(self, ns: space.Space, *more: str) -> None:
        """Open a namespace for sessions, as Ops do."""
        self.admin(
            "label", "namespace", ns.name, "devloop.dev/inject=enabled", f"devloop.dev/e2e-admission={self.name}"
        )

    def developer(self, ns: space.Space) -> cluster.Kubectl:
        """Return the rights of a developer with sessions."""
        made = ns.developer()
        subject = f"--serviceaccount={ns.name}:{space.ACCOUNT}"
        ns.admin("create", "rolebinding", "sessions", f"--clusterrole={self.name}-developer", subject)
        return made

    def scale(self, replicas: int) -> None:
        """Start or stop it."""
        self.admin("scale", f"deployment/{self.name}", f"--replicas={replicas}")
        if replicas:
            self.admin("rollout", "status", f"deployment/{self.name}", "--timeout=90s")
        else:
            self.admin("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/instance={self.name}", "--timeout=60s")

    def distrust(self) -> None:
        """Have the API server trust another authority, as after somebody applied an old manifest."""
        other = json.loads(self.admin("get", "configmap", "kube-root-ca.crt", "-o", "json"))["data"]["ca.crt"]
        bundle = base64.b64encode(other.encode()).decode()
        patch = [
            {"op": "replace", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle} for index in (0, 1)
        ]
        self.whole.admin("patch", "mutatingwebhookconfiguration", self.name, "--type=json", "-p", json.dumps(patch))

    @contextlib.contextmanager
    def unconfigured(self) -> Iterator[None]:
        """Take the configuration away meanwhile, as somebody does who cleans up."""
        found = self.whole.admin.json("get", "mutatingwebhookconfiguration", self.name)
        self.whole.admin("delete", "mutatingwebhookconfiguration", self.name)
        try:
            yield
        finally:
            del found["metadata"]["resourceVersion"], found["metadata"]["uid"]
            self.whole.admin("create", "-f", "-", told=json.dumps(found))

    def restore_in(self, ns: space.Space) -> None:
        """Have patches restored in a namespace, as Ops do: what the chart renders, and the sweeper's argument."""
        objects = rendering.template("restore.yaml", release=self.name, name=self.name, restoreIn=[ns.name])
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        ns.admin("apply", "-f", "-", told=listed)
        argument = {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": f"--restore-in={ns.name}"}
        self.admin("patch", "deployment", self.name, "--type=json", "-p", json.dumps([argument]))
        self.admin("rollout", "status", f"deployment/{self.name}", "--timeout=90s")

    def restore_nowhere(self) -> None:
        """Take that right away again."""
        self.whole.admin("delete", "clusterrole", f"{self.name}-restore", "--ignore-not-found")

    def logs(self) -> str:
        """Return what it says."""
        return self.admin("logs", f"deployment/{self.name}", "--tail=200")


def manifests(name: str, webhook_image: str, agent_image: str) -> list[dict[str, Any]]:
    """Return what config/kustomize/admission renders, under another name, for namespaces that carry that name."""
    text = cluster.run("kubectl", "kustomize", str(PLACE)).replace(NAME, name).replace(NAMESPACE, name)
    found = [each for each in yaml.safe_load_all(text) if each]
    for each in found:
        if each["kind"] == "Deployment":
            each["spec"]["replicas"] = 1
            (container,) = each["spec"]["template"]["spec"]["containers"]
            container["image"] = webhook_image
            ours = {"--agent-image": agent_image, "--silence": str(SILENCE_S), "--sweep": "1"}
            told = dict(arg.split("=", 1) for arg in container["args"])
            container["args"] = [f"{key}={value}" for key, value in {**told, **ours}.items()]
        if each["kind"] == "MutatingWebhookConfiguration":
            for webhook in each["webhooks"]:
                webhook["namespaceSelector"].setdefault("matchLabels", {})["devloop.dev/e2e-admission"] = name
    return found


@contextlib.contextmanager
def installed(whole: cluster.Cluster, webhook_image: str, agent_image: str) -> Iterator[Installed]:
    """Install it; on leaving everything of it is deleted."""
    name = f"devloop-e2e-{secrets.token_hex(3)}"
    objects = manifests(name, webhook_image, agent_image)
    if whole.version < cluster.Version(1, 21):
        for each in objects:
            if each["kind"] == "PodDisruptionBudget":
                each["apiVersion"] = "policy/v1beta1"
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    inside = cluster.Kubectl(whole.admin.kubeconfig, name)
    try:
        inside("apply", "-f", "-", told=listed)
        whole.admin("label", "namespace", name, space.LABEL)
        whole.admin("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=30s")
        made = Installed(whole, name, agent_image)
        try:
            made.scale(1)
        except cluster.CommandError as error:
            raise cluster.CommandError(f"{error}\n{made.logs()}") from error
        yield made
    finally:
        whole.admin("delete", "mutatingwebhookconfiguration", name, "--ignore-not-found")
        inside("delete", "--ignore-not-found", "--wait=false", "-f", "-", told=listed)


def session(name: str = "web", kind: str = "Deployment", **spec: Any) -> dict[str, Any]:
    """Return a DevSession."""
    told = {
        "workload": {"kind": kind, "name": name},
        "service": name,
        # The image has no such folder.
        "syncs": [{"to": "/app", "seed": []}],
        "supervise": True,
        "owner": "alice@laptop",
        **spec,
    }
    meta = {"name": f"{kind.lower()}-{name}"}
    return {"apiVersion": "devloop.dev/v1alpha1", "kind": "DevSession", "metadata": meta, "spec": told}


def deployment(image: str, name: str = "web", replicas: int = 1) -> dict[str, Any]:
    """Return an app that sleeps, as git would say it."""
    told = shapes.pod(name, [shapes.container(shapes.APP, image, "/bin/sleep", "infinity")])
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": told["spec"]},
        },
    }
