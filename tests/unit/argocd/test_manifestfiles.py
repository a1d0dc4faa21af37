from __future__ import annotations

from pathlib import Path

import pytest

from devloop.argocd.manifestfiles import Place
from tests.unit.argocd import trees
from tests.unit.argocd.trees import manifest


def test_manifests_know_their_lines(tmp_path: Path) -> None:
    tree = trees.tree(tmp_path, {"a/all.yaml": f"# first\n{manifest('web')}---\n{manifest('api')}"})
    found = tree.manifests("a/all.yaml")
    assert [(each.kind, each.name, str(each.place)) for each in found] == [
        ("Deployment", "web", "a/all.yaml:2"),
        ("Deployment", "api", "a/all.yaml:7"),
    ]


def test_lists_are_looked_into(tmp_path: Path) -> None:
    text = '{"kind": "List", "items": [{"kind": "Pod", "metadata": {"name": "x"}}, 7]}'
    found = trees.tree(tmp_path, {"a.json": text}).manifests("a.json")
    assert [(each.kind, each.name) for each in found] == [("Pod", "x")]


@pytest.mark.parametrize("text", ["{{ template }}", "a: [", "", "just text", "kind: [x]\n", "\x00", "x" * 2_000_000])
def test_what_is_no_manifest_has_none(tmp_path: Path, text: str) -> None:
    tree = trees.tree(tmp_path, {"a.yaml": text})
    assert [each for each in tree.manifests("a.yaml") if each.name] == []
    assert tree.manifests("missing.yaml") == []
    assert tree.document("missing.yaml") == {}


def test_files_are_listed_in_order_and_git_is_left_out(tmp_path: Path) -> None:
    tree = trees.tree(tmp_path, {"a/b.yaml": "", "a/a.yml": "", "a/x.txt": "", "a/c/d.json": "", "a/.git/e.yaml": ""})
    assert list(tree.files("a", deep=False)) == ["a/a.yml", "a/b.yaml"]
    assert list(tree.files("a", deep=True)) == ["a/a.yml", "a/b.yaml", "a/c/d.json"]
    assert list(tree.files("missing", deep=True)) == []


@pytest.mark.parametrize(
    ("base", "name", "path"),
    [
        ("a", "b", "a/b"),
        ("a", "../b", "b"),
        ("a", "/b", "b"),
        ("a", "../../b", None),
        ("", "../../../../etc/passwd", None),
        ("", ".", "."),
        ("a", "link/passwd", None),
    ],
)
def test_nothing_leads_out_of_the_checkout(tmp_path: Path, base: str, name: str, path: str | None) -> None:
    tree = trees.tree(tmp_path, {"a/b": "x"})
    (tmp_path / "a" / "link").symlink_to("/etc")
    assert tree.within(base, name) == path


def test_a_link_out_of_the_checkout_is_not_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text(manifest("web"))
    tree = trees.tree(tmp_path / "in", {"a.yaml": ""})
    (tmp_path / "in" / "b.yaml").symlink_to(outside)
    assert tree.manifests("b.yaml") == []


def test_a_place_without_a_line_is_the_file() -> None:
    assert str(Place("a.yaml")) == "a.yaml"
