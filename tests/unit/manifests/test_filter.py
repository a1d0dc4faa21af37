from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop import errors
from devloop.manifests import documents
from devloop.manifests import filter as manifests
from devloop.podspec import inject, names, request
from tests.unit.manifests import texts
from tests.unit.podspec import cases
from tests.unit.podspec.generated import pods, services


def pod_in(text: str, at: int = 0) -> dict[str, Any]:
    found = documents.parse(text, "")[at].value["spec"]["template"]
    assert isinstance(found, dict)
    return found


STREAM = f"{texts.CONFIG_MAP}---\n{texts.DEPLOYMENT}---\n\n---\n{texts.CONFIG_MAP}"


def test_the_pod_becomes_what_podspec_says() -> None:
    done = texts.inject(texts.DEPLOYMENT.replace("2020-01-01", "x"))
    before = pod_in(texts.DEPLOYMENT.replace("2020-01-01", "x"))
    assert pod_in(done.text) == inject.inject(before, cases.service(), cases.platform()).pod
    assert done.changed == done.seen == ("deployment/web",)
    assert done.services == {"web"} and done.problems == ()


def test_every_other_line_stays_as_it_was() -> None:
    made = texts.inject(STREAM).text
    assert made.startswith(f"{texts.CONFIG_MAP}---\n# Source: web.yaml\n")
    assert made.endswith(f"---\n\n---\n{texts.CONFIG_MAP}")
    left = iter(made.splitlines())
    assert all(line in left for line in STREAM.splitlines())


def test_twice_is_once_and_back_is_the_original_to_the_byte() -> None:
    made = texts.inject(STREAM, texts.wanted(persist=["/cache"]))
    assert texts.inject(made.text, texts.wanted(persist=["/cache"])).text == made.text
    assert texts.uninject(made.text).text == STREAM
    assert texts.uninject(STREAM).changed == ()


def test_a_list_and_json() -> None:
    value = {"apiVersion": "v1", "kind": "List", "items": [{"kind": "Service"}, yaml.safe_load(texts.DEPLOYMENT)]}
    value["items"][1]["spec"]["template"]["spec"]["containers"][0].pop("env")
    text = json.dumps(value, indent=4) + "\n"
    made = texts.inject(text).text
    assert names.ANNOTATION in json.loads(made)["items"][1]["spec"]["template"]["metadata"]["annotations"]
    assert texts.uninject(made).text == text
    as_yaml = yaml.safe_dump(value)
    assert texts.uninject(texts.inject(as_yaml).text).text == as_yaml


def test_a_pod_by_itself() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: app\n    image: x\n"
    done = texts.inject(text, texts.wanted("pod/web", user=1))
    assert yaml.safe_load(done.text)["metadata"]["name"] == "web"
    assert done.changed == ("pod/web",)
    assert texts.uninject(done.text).text == text


def test_a_volume_of_a_statefulsets_claim_templates_is_used() -> None:
    value = yaml.safe_load(texts.DEPLOYMENT)
    value["kind"] = "StatefulSet"
    value["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    value["spec"]["template"]["spec"]["containers"][0] = {
        "name": "app",
        "volumeMounts": [{"name": "data", "mountPath": "/app"}],
    }
    done = texts.inject(yaml.safe_dump(value), texts.wanted("statefulset/web"))
    assert done.problems == ()


def test_what_has_aliases_is_written_anew_and_that_is_said() -> None:
    text = texts.DEPLOYMENT.replace("{app: web, tier: front}", "&labels {app: web}") + "  selector: *labels\n"
    done = texts.inject(f"{text}# the end\n---\n{texts.CONFIG_MAP}")
    assert done.text.endswith(f"\n# the end\n---\n{texts.CONFIG_MAP}")
    assert "written anew" in done.notes[-1].message
    value = next(yaml.safe_load_all(done.text))
    assert value["spec"]["selector"] == {"app": "web"}
    assert names.ANNOTATION in value["spec"]["template"]["metadata"]["annotations"]


def test_problems_are_where_they_are_written_and_leave_the_text_alone() -> None:
    done = texts.inject(STREAM, texts.wanted(supervise=True), texts.wanted("deployment/other"))
    (told,) = done.problems
    assert (told.workload, told.code, told.place.line) == ("deployment/web", "DL0807", 20)
    assert STREAM.splitlines()[told.place.line - 1].strip().startswith("- name: app")
    assert (done.text, done.changed) == (STREAM, ())


def test_one_of_two_is_refused() -> None:
    two = texts.DEPLOYMENT + "---\n" + texts.DEPLOYMENT.replace("{name: web}", "{name: api}")
    done = texts.inject(two, texts.wanted(), texts.wanted("deployment/api", name="api", container="x"))
    assert done.changed == ("deployment/web",)
    assert [told.workload for told in done.problems] == ["deployment/api"]
    assert names.ANNOTATION in pod_in(done.text)["metadata"]["annotations"]


def test_two_services_in_one_pod_are_refused() -> None:
    done = texts.inject(texts.DEPLOYMENT, texts.wanted(), texts.wanted(name="second"))
    assert "web and second are in the same pod" in done.problems[0].message


@pytest.mark.parametrize("spec", ["{workloadRef: {name: x}}", "x", "{template: x}", "{template: {}}"])
def test_a_workload_without_a_pod_is_refused(spec: str) -> None:
    text = f"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec: {spec}\n"
    done = texts.inject(text, texts.wanted("rollout/web"))
    assert len(done.problems) == 1 and done.text == text


@pytest.mark.parametrize(
    ("selector", "matches"), [({"app": "web"}, True), ({"app": "web", "tier": "back"}, False), ({}, False)]
)
def test_a_selector_means_the_pods_labels(selector: dict[str, str], matches: bool) -> None:
    done = texts.inject(texts.DEPLOYMENT, manifests.Wanted(cases.service(), selector=selector))
    assert bool(done.changed) is matches


@pytest.mark.parametrize(
    ("written", "wanted", "matches"), [("", "a", True), ("a", "a", True), ("b", "a", False), ("b", "", True)]
)
def test_a_namespace_that_is_written_must_fit(written: str, wanted: str, matches: bool) -> None:
    metadata = f"{{name: web, namespace: {written}}}" if written else "{name: web}"
    text = texts.DEPLOYMENT.replace("{name: web}", metadata)
    done = texts.inject(text, manifests.Wanted(cases.service(), "deployment/web", namespace=wanted))
    assert bool(done.changed) is matches


def test_a_claim_comes_with_the_workload_and_goes_with_it() -> None:
    text = texts.DEPLOYMENT.replace("{name: web}", "{name: web, namespace: mine}")
    made = texts.inject(text, texts.wanted(persist=["/cache"])).text
    claim = list(yaml.safe_load_all(made))[1]
    assert (claim["kind"], claim["metadata"]) == (
        "PersistentVolumeClaim",
        {"name": "devloop-web", "labels": {"devloop.dev/claim-of": "web"}, "namespace": "mine"},
    )
    assert texts.uninject(made, "other").text == made
    assert texts.uninject(made, "web").text == text


def test_tracking_labels_are_never_copied() -> None:
    text = texts.DEPLOYMENT.replace(
        "{name: web}",
        "{name: web, labels: {app.kubernetes.io/instance: shop}, annotations: {argocd.argoproj.io/tracking-id: shop}}",
    )
    made = texts.inject(text, texts.wanted(persist=["/cache"])).text
    assert made.count("app.kubernetes.io/instance") == made.count("tracking-id") == 1


def test_an_unreadable_annotation_is_a_problem_of_uninject_too() -> None:
    made = texts.inject(texts.DEPLOYMENT).text.replace('"version":1', '"version":9')
    done = texts.uninject(made)
    assert done.problems[0].code == "DL0804" and done.text == made


def test_what_is_no_yaml() -> None:
    with pytest.raises(errors.ConfigError):
        texts.inject("a: [")


@settings(max_examples=40, deadline=None)
@given(pods, services, st.booleans(), st.sampled_from([None, "  "]))
def test_any_manifest_is_injected_once_and_comes_back(
    pod: dict[str, Any], service: request.Service, flow: bool, indent: str | None
) -> None:
    value = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": pod}}
    if indent:
        text = json.dumps(value, indent=indent)
    else:
        text = yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=None if flow else False)
    wanted = manifests.Wanted(service, "deployment/web")
    once = texts.inject(text, wanted)
    expected = inject.inject(pod, service, cases.platform())
    assert bool(once.problems) is bool(expected.refusals)
    if once.problems:
        assert once.text == text
        return
    assert pod_in(once.text) == expected.pod
    assert texts.inject(once.text, wanted).text == once.text
    (back,) = documents.parse(texts.uninject(once.text).text, "")
    assert back.value == value
