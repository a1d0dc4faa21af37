"""A kustomization is walked as kustomize builds it, as far as names and files go."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop.argocd import kustomizations
from devloop.argocd.kustomizations import Wanted
from tests.unit.argocd import trees
from tests.unit.argocd.trees import manifest

WEB = Wanted("Deployment", "web")


def walked(folder: Path, files: dict[str, str], wanted: Wanted = WEB, start: str = "o") -> tuple[list[str], list[str]]:
    found = kustomizations.walk(trees.tree(folder, files), start, wanted)
    return [str(each) for each in found.files], [str(each) for each in found.patches]


BASE = {"b/kustomization.yaml": "resources: [web.yaml, api.yaml]", "b/web.yaml": manifest("web")}


def test_a_base_and_what_changes_it(tmp_path: Path) -> None:
    files = {
        **BASE,
        "b/api.yaml": manifest("api"),
        "o/kustomization.yaml": "resources: [../b]\npatches: [{path: p.yaml}, {path: q.yaml}]",
        "o/p.yaml": manifest("web"),
        "o/q.yaml": manifest("api"),
    }
    assert walked(tmp_path, files) == (["b/web.yaml:1"], ["o/p.yaml:1"])


def test_names_are_compared_as_kustomize_changes_them(tmp_path: Path) -> None:
    files = {
        **BASE,
        "m/kustomization.yaml": "namePrefix: mid-\nresources: [../b]\npatchesStrategicMerge: [p.yaml]",
        "m/p.yaml": manifest("web"),
        "o/kustomization.yaml": "namePrefix: ann-\nnameSuffix: -v1\nbases: [../m]\npatches: [{path: p.yaml}]",
        "o/p.yaml": manifest("mid-web"),
    }
    assert walked(tmp_path, files, Wanted("Deployment", "ann-mid-web-v1")) == (
        ["b/web.yaml:1"],
        ["m/p.yaml:1", "o/p.yaml:1"],
    )
    assert walked(tmp_path, files, Wanted("Deployment", "web")) == ([], [])


def test_a_patch_may_name_the_first_name(tmp_path: Path) -> None:
    files = {
        **BASE,
        "m/kustomization.yaml": "namePrefix: mid-\nresources: [../b]",
        "o/kustomization.yaml": "resources: [../m]\npatches: [{path: p.yaml}]",
        "o/p.yaml": manifest("web"),
    }
    assert walked(tmp_path, files, Wanted("Deployment", "mid-web"))[1] == ["o/p.yaml:1"]


@pytest.mark.parametrize(
    ("patch", "places"),
    [
        ("{path: p.yaml, target: {kind: Deployment}}", ["o/p.yaml"]),
        ("{path: p.yaml, target: {kind: Deployment, name: w.*}}", ["o/p.yaml"]),
        ("{path: p.yaml, target: {kind: Deployment, name: w}}", []),
        ("{path: p.yaml, target: {kind: Service}}", []),
        ("{path: p.yaml, target: {name: '('}}", []),
        ("{patch: '[]', target: {kind: Deployment}}", ["o/kustomization.yaml"]),
        ("{patch: 'kind: Deployment\n\n    metadata: x'}", []),
        ("{patch: '{kind: Deployment, metadata: {name: web}}'}", ["o/kustomization.yaml"]),
        ("{patch: 'a: ['}", []),
        ("7", []),
        ("{path: missing.yaml}", []),
    ],
)
def test_targets_and_patches_in_place(tmp_path: Path, patch: str, places: list[str]) -> None:
    files = {**BASE, "o/kustomization.yaml": f"resources: [../b]\npatches:\n  - {patch}\n", "o/p.yaml": "[]"}
    assert walked(tmp_path, files)[1] == places


def test_components_change_what_is_beside_them(tmp_path: Path) -> None:
    files = {
        **BASE,
        "c/kustomization.yaml": "kind: Component\npatches: [{path: p.yaml}]",
        "c/p.yaml": manifest("web"),
        "o/kustomization.yml": "resources: [../b]\ncomponents: [../c]",
    }
    assert walked(tmp_path, files) == (["b/web.yaml:1"], ["c/p.yaml:1"])


@pytest.mark.parametrize("name", ["https://x.example/r", "git@x.example:r", "github.com/o/r?ref=1", "../../../etc"])
def test_what_is_elsewhere_is_told_and_not_looked_at(tmp_path: Path, name: str) -> None:
    tree = trees.tree(tmp_path, {"o/kustomization.yaml": f"resources: ['{name}']"})
    assert kustomizations.walk(tree, "o", WEB).remote == (name,)


def test_a_circle_ends(tmp_path: Path) -> None:
    files = {"o/kustomization.yaml": "resources: [../p]", "p/kustomization.yaml": "resources: [../o]"}
    assert walked(tmp_path, files) == ([], [])


@pytest.mark.parametrize("text", ["resources: 7", "[]", "a: [", "resources: [7, {}]", "namePrefix: 3\nresources: []"])
def test_a_broken_kustomization_has_nothing(tmp_path: Path, text: str) -> None:
    assert walked(tmp_path, {"o/kustomization.yaml": text}) == ([], [])


def test_no_kustomization_at_all(tmp_path: Path) -> None:
    tree = trees.tree(tmp_path, {"o/x.yaml": ""})
    assert kustomizations.file_of(tree, "o") == ""
    assert kustomizations.walk(tree, "o", WEB) == kustomizations.Walked()
