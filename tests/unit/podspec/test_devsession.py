from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from devloop.podspec import devsession, request

WORKLOAD = devsession.Workload("Deployment", "web")
SERVICE = request.Service(
    name="web",
    syncs=(request.Sync("/app", ()), request.Sync("/lib/x", ("*.so",))),
    container="app",
    supervise=True,
    command=("python", "app.py"),
    workdir="/app",
    env=(("A", "1"), ("B", "")),
    probes=request.Probes.KEEP,
    persist=("/app/node_modules",),
    user=1000,
    group=2000,
    grace_s=2.5,
    wait_first_sync=True,
)


def session(**spec: Any) -> dict[str, Any]:
    told = {"workload": {"kind": "Deployment", "name": "web"}, "service": "web", "syncs": [{"to": "/app"}], **spec}
    return {"metadata": {"name": "a", "namespace": "dev", "uid": "u", "generation": 3}, "spec": told}


def schema() -> dict[str, Any]:
    crd = Path(__file__).parents[3] / "config" / "kustomize" / "admission" / "crd.yaml"
    (version,) = yaml.safe_load(crd.read_text())["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def test_a_service_comes_out_as_it_went_in() -> None:
    spec = devsession.spec_of(SERVICE, WORKLOAD, "alice@laptop")
    made = devsession.made("a", "dev", spec)
    assert devsession.read(json.loads(json.dumps(made))).spec == spec
    assert spec.service_of() == SERVICE


def test_a_small_service_too() -> None:
    small = request.Service(name="web", syncs=(request.Sync("/app"),))
    assert devsession.spec_of(small, WORKLOAD, "a").service_of() == small


def test_what_the_laptop_writes_is_what_the_api_server_takes() -> None:
    made = json.loads(json.dumps(devsession.made("a", "dev", devsession.spec_of(SERVICE, WORKLOAD, "alice@laptop"))))
    # What is not in the schema would be dropped without a word.
    strict = json.loads(json.dumps(schema()), object_hook=closed)
    jsonschema.validate({"spec": made["spec"]}, strict)


def closed(node: dict[str, Any]) -> dict[str, Any]:
    if "properties" in node and "additionalProperties" not in node:
        node["additionalProperties"] = False
    return node


def test_the_schema_has_every_field_and_no_field_for_an_image_or_for_security() -> None:
    fields = set(schema()["properties"]["spec"]["properties"])
    assert fields == {field.encode_name for field in msgspec.structs.fields(devsession.Spec)}
    assert not [name for name in fields if "image" in name.lower() or "security" in name.lower() or "priv" in name]


def test_an_image_is_not_for_sessions() -> None:
    with pytest.raises(ValueError, match="image:"):
        devsession.spec_of(msgspec.structs.replace(SERVICE, image="x"), WORKLOAD, "a")


@pytest.mark.parametrize(
    "spec",
    [
        {"syncs": []},
        {"syncs": [{"to": "/"}]},
        {"service": ""},
        {"runAs": {"user": 0}},
        {"runAs": {"user": 2**31}},
        {"graceSeconds": 4000},
        {"probes": "never"},
        {"env": [{"name": ""}]},
        {"command": ["x" * 5000]},
        {"workload": {"kind": "Deployment"}},
    ],
)
def test_both_refuse_what_is_out_of_bounds(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"spec\."):
        devsession.read(session(**spec))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"spec": session(**spec)["spec"]}, schema())


@pytest.mark.parametrize("raw", [{}, {"spec": None}, {"metadata": 1, "spec": {}}, {"metadata": {}, "status": []}])
def test_what_is_no_session_is_said_to_be_none(raw: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        devsession.read(raw)


def test_unknown_fields_are_of_no_consequence() -> None:
    assert devsession.read(session(image="evil")).spec == devsession.read(session()).spec


def test_a_mark_changes_with_what_is_asked_for() -> None:
    assert devsession.read(session()).mark == "u/3"


def test_folders_and_kinds_are_checked() -> None:
    wrong = session(syncs=[{"to": "/etc"}], workload={"kind": "Job", "name": "x"})
    assert len(devsession.problems(devsession.read(wrong).spec)) == 2
    assert devsession.problems(devsession.read(session()).spec) == ()


@pytest.mark.parametrize(
    ("kind", "name", "made"),
    [("Deployment", "web", "deployment-web"), ("StatefulSet", "a.b", "statefulset-a.b"), ("Rollout", "w" * 253, None)],
)
def test_a_session_is_called_after_its_workload(kind: str, name: str, made: str | None) -> None:
    found = devsession.name_of(devsession.Workload(kind, name))
    assert len(found) <= 253 and (made is None or found == made)


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "x"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["1"]}]}, False),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}, False),
        ({}, False),
        (None, False),
        ("app=web", False),
    ],
)
def test_selectors_select_as_kubernetes_does(selector: object, selected: bool) -> None:
    assert devsession.selects(selector, {"app": "web"}) is selected


def test_the_chart_has_the_same_kind() -> None:
    here = Path(__file__).parents[3] / "config"
    charts = here / "helm" / "devloop" / "templates" / "crd.yaml"
    assert yaml.safe_load(charts.read_text()) == yaml.safe_load(
        Path(os.path.join(here, "kustomize", "admission", "crd.yaml")).read_text()
    )
