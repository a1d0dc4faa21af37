"""The chart and the plain manifests bring the same objects, and those are what the webhook's code relies on."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from agent.webhook import server, settings
from devloop import __version__
from devloop.podspec import devsession, undo
from tests.unit.docs import rendering
from tests.unit.docs.rendering import chart

CHART = rendering.CHART
PLAIN = CHART.parents[1] / "kustomize" / "admission"
NAMESPACE = rendering.NAMESPACE

VALUES = rendering.VALUES


def plain() -> list[dict[str, Any]]:
    listed = yaml.safe_load((PLAIN / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in PLAIN.iterdir())
    return [each for name in listed for each in yaml.safe_load_all((PLAIN / name).read_text())]


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, Any]]:
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in objects:
        meta = each["metadata"]
        elsewhere = [meta["namespace"]] if meta.get("namespace", NAMESPACE) != NAMESPACE else []
        found[each["kind"], meta["name"], *elsewhere] = each
    return found


def one(kind: str, **changed: Any) -> dict[str, Any]:
    (found,) = (each for each in chart(**changed) if each["kind"] == kind)
    return found


def test_the_plain_manifests_are_the_charts() -> None:
    beside = by_name(plain())
    del beside["Namespace", NAMESPACE]
    assert beside == by_name(chart())


@pytest.mark.skipif(not shutil.which("helm"), reason="needs helm on PATH")
@pytest.mark.parametrize("changed", [{}, {"certManager": True}, {"restoreIn": ["dev-ann", "dev-bob"]}])
def test_helm_renders_what_this_file_does(changed: dict[str, Any]) -> None:
    more = [part for key, told in changed.items() for part in ("--set-json", f"{key}={json.dumps(told)}")]
    argv = ["helm", "template", "x", str(CHART), "-n", NAMESPACE, *more]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert by_name([each for each in yaml.safe_load_all(said) if each]) == by_name(chart(**changed))


def container(**changed: Any) -> dict[str, Any]:
    (found,) = one("Deployment", **changed)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_webhook_understands_its_command_line() -> None:
    told = settings.parse(container()["args"])
    assert (told.agent_image, told.tls_dir) == (VALUES["agentImage"], "")
    objects = by_name(chart())
    place = told.place
    assert ("Service", place.service) in objects and ("Secret", place.secret) in objects
    assert ("MutatingWebhookConfiguration", place.configuration) in objects and place.namespace == NAMESPACE
    assert settings.parse(container(certManager=True)["args"]).tls_dir == "/tls"
    assert told.allow_dial == ()
    listed = ["*.other", "[fd00::/8]:443", "10.0.0.0/8:5432"]
    assert settings.parse(container(allowDial=listed)["args"]).allow_dial == tuple(listed)


def test_cert_managers_secret_is_mounted_where_it_is_looked_for() -> None:
    spec = one("Deployment", certManager=True)["spec"]["template"]["spec"]
    (mount,) = (each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "tls")
    (volume,) = (each for each in spec["volumes"] if each["name"] == "tls")
    assert mount["mountPath"] == "/tls" and mount["readOnly"]
    assert volume["secret"]["secretName"] == one("Certificate", certManager=True)["spec"]["secretName"]
    assert "Secret" not in {each["kind"] for each in chart(certManager=True)}


def test_pods_are_never_blocked_and_sessions_never_go_unstamped() -> None:
    pods, sessions = one("MutatingWebhookConfiguration")["webhooks"]
    assert (pods["failurePolicy"], sessions["failurePolicy"]) == ("Ignore", "Fail")
    assert pods["clientConfig"]["service"]["path"] == server.PODS
    assert sessions["clientConfig"]["service"]["path"] == server.SESSIONS
    assert server.BUDGET_S < min(pods["timeoutSeconds"], sessions["timeoutSeconds"]) <= 5
    assert pods["namespaceSelector"] == {"matchLabels": {devsession.OPT_IN: devsession.ENABLED}}
    (rule,) = sessions["rules"]
    assert (rule["apiGroups"], rule["resources"]) == ([devsession.GROUP], [devsession.PLURAL])
    # Everywhere, so that nobody prepares a session under another's name where nobody looks.
    assert sessions["namespaceSelector"] == {} == sessions["objectSelector"]


def test_it_runs_under_restricted_pod_security() -> None:
    spec = one("Deployment")["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all("hostPath" not in each for each in spec["volumes"])


def test_it_may_change_no_pod_and_no_workload_and_reads_one_secret() -> None:
    rules = by_name(chart())["ClusterRole", VALUES["name"]]["rules"]
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        if {"pods", "deployments", "statefulsets", "daemonsets", "rollouts"} & set(rule["resources"]):
            assert set(rule["verbs"]) <= {"get", "list"}
        assert "secrets" not in rule["resources"]
    (rule,) = one("Role")["rules"]
    assert rule["resourceNames"] == [f"{VALUES['name']}-tls"] and rule["verbs"] == ["get", "update"]


def test_patches_are_restored_only_where_ops_said_so_and_with_no_more_rights_than_that() -> None:
    assert settings.parse(container()["args"]).restore_in == ()
    assert by_name(chart(restoreIn=["dev-ann", "dev-bob"])).keys() - by_name(chart()).keys() == {
        ("ClusterRole", "devloop-admission-restore"),
        *((kind, name, namespace) for namespace in ("dev-ann", "dev-bob") for kind, name in IN_EACH),
    }
    told = chart(restoreIn=["dev-ann", "dev-bob"])
    assert settings.parse(container(restoreIn=["dev-ann", "dev-bob"])["args"]).restore_in == ("dev-ann", "dev-bob")
    rules = by_name(told)["ClusterRole", "devloop-admission-restore"]["rules"]
    may = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    assert {resource for resource, verb in may if verb == "patch"} == {"deployments", "statefulsets", "daemonsets"}
    assert ("leases", "create") not in may and not {"pods", "secrets"} & {resource for resource, _ in may}
    # No binding of it for the whole cluster.
    bindings = [each for each in told if each["kind"] == "ClusterRoleBinding"]
    assert [each["roleRef"]["name"] for each in bindings] == [VALUES["name"]]
    marker = by_name(told)["Lease", undo.SWEEPER, "dev-ann"]
    # It is no session of anybody's: `devloop down` and the sweeper leave it alone.
    assert "devloop.dev/session" not in marker["metadata"]["labels"]
    assert marker["spec"]["holderIdentity"] == f"{NAMESPACE}/{VALUES['name']}"


IN_EACH = (("RoleBinding", "devloop-admission-restore"), ("Lease", undo.SWEEPER))


def test_versions_are_this_devloops() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["version"] == about["appVersion"] == __version__
    assert VALUES["image"].endswith(f":{__version__}") and VALUES["agentImage"].endswith(f":{__version__}")
