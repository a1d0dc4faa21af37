"""The chart and the plain manifests bring the same objects, and those are what the webhook's code relies on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.webhook import server, settings
from devloop import __version__
from devloop.podspec import devsession

CONFIG = Path(__file__).parents[3] / "config"
CHART = CONFIG / "helm" / "devloop"
PLAIN = CONFIG / "kustomize" / "admission"
NAMESPACE = "devloop-system"

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")


def rendered(name: str, **changed: Any) -> str:
    """Render a template: the few forms that the chart keeps to, so that nobody needs Helm to check it."""
    lines: list[str] = []
    shown = [True]
    for line in (CHART / "templates" / name).read_text().splitlines():
        action = _ACTION.fullmatch(line.strip())
        word, _, condition = action[1].partition(" ") if action else ("", "", "")
        if word == "if":
            shown.append(shown[-1] and bool(value(condition, changed)))
        elif word == "else":
            shown[-1] = shown[-2] and not shown[-1]
        elif word == "end":
            shown.pop()
        elif shown[-1]:
            lines.append(_ACTION.sub(lambda found: text(found[1], changed), line))
    assert shown == [True], name
    return "\n".join(lines)


def text(expression: str, changed: Mapping[str, Any]) -> str:
    reference, _, function = (part.strip() for part in expression.partition("|"))
    assert function in ("", "toJson"), expression
    found = value(reference, changed)
    return json.dumps(found) if function else str(found)


def value(reference: str, changed: Mapping[str, Any]) -> Any:
    if reference == ".Release.Namespace":
        return NAMESPACE
    _, root, key = reference.split(".")
    assert root == "Values"
    return {**VALUES, **changed}[key]


def chart(**changed: Any) -> list[dict[str, Any]]:
    names = sorted(path.name for path in (CHART / "templates").iterdir())
    return [each for name in names for each in yaml.safe_load_all(rendered(name, **changed)) if each]


def plain() -> list[dict[str, Any]]:
    listed = yaml.safe_load((PLAIN / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in PLAIN.iterdir())
    return [each for name in listed for each in yaml.safe_load_all((PLAIN / name).read_text())]


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def one(kind: str, **changed: Any) -> dict[str, Any]:
    (found,) = (each for each in chart(**changed) if each["kind"] == kind)
    return found


def test_the_plain_manifests_are_the_charts() -> None:
    beside = by_name(plain())
    del beside["Namespace", NAMESPACE]
    assert beside == by_name(chart())


@pytest.mark.skipif(not shutil.which("helm"), reason="needs helm on PATH")
@pytest.mark.parametrize("more", [(), ("--set", "certManager=true")])
def test_helm_renders_what_this_file_does(more: tuple[str, ...]) -> None:
    argv = ["helm", "template", "x", str(CHART), "-n", NAMESPACE, *more]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    expected = chart(**({"certManager": True} if more else {}))
    assert by_name([each for each in yaml.safe_load_all(said) if each]) == by_name(expected)


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


def test_versions_are_this_devloops() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["version"] == about["appVersion"] == __version__
    assert VALUES["image"].endswith(f":{__version__}") and VALUES["agentImage"].endswith(f":{__version__}")
