"""Charts are read as text, and helm is asked only where that leaves a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop.argocd import charts
from devloop.argocd.kustomizations import Wanted
from tests.unit.argocd import trees

WEB = Wanted("Deployment", "shop-web")


def found(folder: Path, files: dict[str, str], wanted: Wanted = WEB) -> list[str]:
    tree = trees.tree(folder, {f"c/{name}": text for name, text in files.items()})
    return [str(each) for each in charts.templates(tree, "c", wanted)]


def template(name: str, kind: str = "Deployment") -> str:
    return f"{{{{- if .Values.on }}}}\napiVersion: apps/v1\nkind: {kind}\nmetadata:\n  name: {name}\n{{{{- end }}}}\n"


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("shop-web", True),
        ('"shop-web"', True),
        ("{{ .Release.Name }}-web", True),
        ('{{ include "x.fullname" . }}', True),
        ('"{{ .Release.Name }}-web"', True),
        ("{{ .Release.Name }}-api", False),
        ("shop", False),
        ("shop-web  # the one", True),
    ],
)
def test_names_fit_whatever_they_may_become(tmp_path: Path, name: str, fits: bool) -> None:
    assert found(tmp_path, {"templates/web.yaml": template(name)}) == (["c/templates/web.yaml:3"] if fits else [])


def test_the_very_name_goes_before_one_that_may_become_it(tmp_path: Path) -> None:
    files = {"templates/a.yaml": template("{{ .x }}"), "templates/b.yaml": template("shop-web")}
    assert found(tmp_path, files) == ["c/templates/b.yaml:3"]


def test_subcharts_and_several_documents(tmp_path: Path) -> None:
    both = template("x", "Service") + "---\n" + template("{{ .Release.Name }}-web")
    assert found(tmp_path, {"charts/sub/templates/all.yaml": both}) == ["c/charts/sub/templates/all.yaml:10"]


@pytest.mark.parametrize(
    "text",
    [
        "kind: Deployment\nmetadata: {name: shop-web}\n",
        "kind: Deployment\nmetadata:\n  labels: {{ x }}\n  name: shop-web\n",
        "metadata:\n  name: shop-web\nkind: Deployment # yes\n",
        "kind: {{ .kind }}\nmetadata:\n  name: shop-web\n",
    ],
)
def test_ways_to_write_it(tmp_path: Path, text: str) -> None:
    assert len(found(tmp_path, {"templates/x.yaml": text})) == 1


@pytest.mark.parametrize(
    "text",
    [
        "kind: Deployment\nspec:\n  name: shop-web\n",
        "kind: Service\nmetadata:\n  name: shop-web\n",
        "# kind: Deployment\nmetadata:\n  name: shop-web\n",
        "",
    ],
)
def test_what_is_not_it(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, {"templates/x.yaml": text, "web.yaml": template("shop-web")}) == []


def test_values_in_the_order_in_which_they_count(tmp_path: Path) -> None:
    files = {"c/values.yaml": "", "c/dev.yaml": "", "envs/ann.yaml": ""}
    tree = trees.tree(tmp_path, files)
    asked = ["dev.yaml", "$vals/envs/ann.yaml", "$other/x.yaml", "https://x/y.yaml", "../../../etc/passwd", "no.yaml"]
    assert charts.values_files(tree, "c", asked, {"vals": ""}) == ("c/values.yaml", "c/dev.yaml", "envs/ann.yaml")


def test_helm_is_asked_by_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = trees.tree(tmp_path, {"c/Chart.yaml": "", "c/templates/a.yaml": "", "v.yaml": ""})
    script = tmp_path / "bin" / "helm"
    script.parent.mkdir()
    output = (
        "---\n# Source: x/templates/b.yaml\nkind: Service\nmetadata:\n  name: shop-web\n"
        "---\n# Source: x/templates/a.yaml\nkind: Deployment\nmetadata:\n  name: shop-web\n"
    )
    script.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/asked\ncat <<'E'\n{output}E\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    assert charts.rendered(tree, "c", WEB, "shop", "ann", ["v.yaml"]) == "c/templates/a.yaml"
    assert (tmp_path / "asked").read_text() == "template shop ./c --namespace ann -f v.yaml\n"
    assert charts.rendered(tree, "c", Wanted("Deployment", "other"), "shop", "", []) == ""


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nprintf '\\377'\n"])
def test_a_helm_that_fails_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    tree = trees.tree(tmp_path, {"c/Chart.yaml": "", "bin/helm": script})
    (tmp_path / "bin" / "helm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    assert charts.rendered(tree, "c", WEB, "shop", "ann", []) == ""


def test_no_helm_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert charts.rendered(trees.tree(tmp_path, {}), "c", WEB, "shop", "ann", []) == ""


def test_a_chart_has_a_chart_yaml(tmp_path: Path) -> None:
    tree = trees.tree(tmp_path, {"c/Chart.yaml": "", "d/x": ""})
    assert charts.is_chart(tree, "c")
    assert not charts.is_chart(tree, "d")
