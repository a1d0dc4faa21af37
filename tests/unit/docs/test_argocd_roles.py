"""The Roles for Argo CD grant what is asked for, and the page for Ops tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from devloop.argocd import surroundings
from devloop.doctor import look_argocd

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "install-ops.md").read_text()


def rules(folder: str) -> list[dict[str, Any]]:
    role = yaml.safe_load((ROOT / "config" / "rbac" / folder / "role.yaml").read_text())
    binding = yaml.safe_load((ROOT / "config" / "rbac" / folder / "rolebinding.yaml").read_text())
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    found: list[dict[str, Any]] = role["rules"]
    return found


def granted(folder: str) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules(folder)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_reading_is_granted_and_nothing_else() -> None:
    wanted = {("argoproj.io", "applications", verb) for verb in look_argocd.READS}
    wanted |= {
        (version.partition("/")[0], plural, "list")
        for version, plural, _ in (surroundings.SETS, surroundings.UPDATERS, surroundings.PROMOTIONS)
    }
    found = granted("argocd")
    assert wanted <= found
    assert {verb for _, _, verb in found} == {"get", "list", "watch"}


def test_changing_is_one_right() -> None:
    assert granted("argocd-patch") == {("argoproj.io", "applications", "patch")}


def test_the_page_tells_both_ways() -> None:
    section = PAGE.split("\n## Argo CD: ")[1].split("\n## ")[0]
    for said in (
        "config/rbac/argocd",
        "config/rbac/argocd-patch",
        "applications, get",
        "sourceNamespaces",
        "administrator",
    ):
        assert said in section, said
