"""From an Application to the file: by what renders it, and else the folder with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devloop.argocd import application, rendered
from devloop.argocd.kustomizations import Wanted
from tests.unit.argocd import samples, trees
from tests.unit.argocd.trees import REPO, manifest

WEB = Wanted("Deployment", "web")


def app(*sources: dict[str, Any], repo: str = REPO) -> application.Application:
    whole = [{"repoURL": repo, "targetRevision": "main", **each} for each in sources]
    return application.read(samples.raw(source=whole[0]) if len(whole) == 1 else samples.raw(sources=whole))


def located(folder: Path, files: dict[str, str], *sources: dict[str, Any], wanted: Wanted = WEB) -> rendered.Located:
    return rendered.locate(trees.clone(folder, files), app(*sources), wanted)


def places(found: rendered.Located) -> list[str]:
    return [str(each) for each in found.files]


def test_a_plain_folder(tmp_path: Path) -> None:
    found = located(tmp_path, {"envs/a.yaml": manifest("web"), "envs/deep/b.yaml": manifest("web")}, {"path": "envs"})
    assert (places(found), found.folder, found.why) == (["envs/a.yaml:1"], "envs", "")


@pytest.mark.parametrize(
    ("directory", "expected"),
    [
        ({"recurse": True}, ["e/a.yaml:1", "e/d/b.yaml:1"]),
        ({"recurse": True, "exclude": "d/*"}, ["e/a.yaml:1"]),
        ({"recurse": True, "include": "{b.yaml,d/b.yaml}"}, ["e/d/b.yaml:1"]),
        ({"exclude": "*"}, []),
    ],
)
def test_what_a_plain_folder_takes(tmp_path: Path, directory: dict[str, Any], expected: list[str]) -> None:
    files = {"e/a.yaml": manifest("web"), "e/d/b.yaml": manifest("web")}
    assert places(located(tmp_path, files, {"path": "e", "directory": directory})) == expected


def test_a_kustomization_with_its_patches(tmp_path: Path) -> None:
    files = {
        "b/kustomization.yaml": "resources: [web.yaml]",
        "b/web.yaml": manifest("web"),
        "o/kustomization.yaml": "resources: [../b]\npatches: [{path: p.yaml}]",
        "o/p.yaml": manifest("web"),
    }
    found = located(tmp_path, files, {"path": "o"})
    assert (places(found), [str(each) for each in found.changed_by]) == (["b/web.yaml:1"], ["o/p.yaml:1"])
    files["o/kustomization.yaml"] = "resources: ['https://x.example/r']"
    assert "which is not in the checkout" in located(tmp_path / "2", files, {"path": "o"}).why


CHART = {"c/Chart.yaml": "name: c", "c/values.yaml": "", "c/templates/web.yaml": manifest("{{ .Release.Name }}-web")}


def test_a_chart_with_its_values(tmp_path: Path) -> None:
    files = {**CHART, "c/dev.yaml": ""}
    source = {"path": "c", "helm": {"valueFiles": ["dev.yaml"]}}
    found = located(tmp_path, files, source, wanted=Wanted("Deployment", "shop-web"))
    assert (places(found), found.values) == (["c/templates/web.yaml:2"], ("c/values.yaml", "c/dev.yaml"))


def test_values_of_another_source(tmp_path: Path) -> None:
    files = {**CHART, "envs/ann.yaml": ""}
    chart = {"path": "c", "helm": {"valueFiles": ["$vals/envs/ann.yaml"]}}
    found = located(tmp_path, files, chart, {"ref": "vals"}, wanted=Wanted("Deployment", "shop-web"))
    assert found.values == ("c/values.yaml", "envs/ann.yaml")


def test_a_chart_from_elsewhere_has_its_values_here(tmp_path: Path) -> None:
    chart = {"repoURL": "https://charts.example", "chart": "redis", "helm": {"valueFiles": ["$vals/envs/ann.yaml"]}}
    found = located(tmp_path, {"envs/ann.yaml": ""}, chart, {"ref": "vals"})
    assert (found.files, found.values) == ((), ("envs/ann.yaml",))
    assert found.why == "it is made by the chart redis of https://charts.example"


def test_several_that_fit_are_all_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = trees.clone(tmp_path, {**CHART, "c/templates/other.yaml": manifest("{{ .x }}")})
    monkeypatch.setenv("PATH", "/nowhere")
    found = rendered.locate(clone, app({"path": "c"}), Wanted("Deployment", "shop-web"))
    assert len(found.files) == 2
    assert "cannot be told" in found.why


def test_helm_settles_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {**CHART, "c/templates/other.yaml": manifest("{{ .x }}"), "bin/helm": "#!/bin/sh\ncat <<'E'\n"}
    files["bin/helm"] += f"---\n# Source: c/templates/web.yaml\n{manifest('shop-web')}E\n"
    clone = trees.clone(tmp_path, files)
    (tmp_path / "bin/helm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    found = rendered.locate(clone, app({"path": "c"}), Wanted("Deployment", "shop-web"))
    assert (places(found), found.why) == (["c/templates/web.yaml:2"], "")


def test_the_second_source_may_be_it(tmp_path: Path) -> None:
    files = {"a/x.yaml": manifest("x"), "b/web.yaml": manifest("web")}
    assert places(located(tmp_path, files, {"path": "a"}, {"path": "b"})) == ["b/web.yaml:1"]


def test_a_plugin_is_its_folder(tmp_path: Path) -> None:
    found = located(tmp_path, {"p/x.js": ""}, {"path": "p", "plugin": {"name": "js"}})
    assert (found.folder, found.why) == ("p", "a plugin makes its manifests")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"path": "missing"}, "no folder missing"),
        ({"path": "../.."}, "no folder ../.."),
        ({"path": "envs"}, "no file there has a Deployment web"),
        ({"repoURL": "https://git.example/other", "path": "envs"}, "is no clone of https://git.example/other"),
    ],
)
def test_no_file_has_a_reason(tmp_path: Path, source: dict[str, Any], why: str) -> None:
    found = located(tmp_path, {"envs/a.yaml": manifest("api")}, source)
    assert (found.files, why in found.why) == ((), True), found.why
