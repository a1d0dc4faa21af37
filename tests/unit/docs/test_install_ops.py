"""The page for Ops tells every right that the Role grants, and every right that the doctor asks about."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from devloop.config import model
from devloop.doctor import facts, look_cluster

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "install-ops.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows() -> list[tuple[str, list[str]]]:
    table = re.findall(r"^\| (`.*?) \| (.*?) \|", section("The Role, line by line"), re.MULTILINE)
    return [(what, verbs.split(", ")) for what, verbs in table]


def test_every_rule_of_the_role_is_told_with_its_verbs() -> None:
    role = yaml.safe_load((ROOT / "config" / "rbac" / "role.yaml").read_text())
    for rule in role["rules"]:
        for resource in rule["resources"]:
            told = [verbs for what, verbs in rows() if re.search(rf"[`/]{resource}`", what)]
            assert rule["verbs"] in told, resource


def test_no_resource_is_told_that_the_role_does_not_grant() -> None:
    role = yaml.safe_load((ROOT / "config" / "rbac" / "role.yaml").read_text())
    granted = {resource for rule in role["rules"] for resource in rule["resources"]} | {"apps"}
    names = {name for what, _ in rows() for name in re.findall(r"`([^`]+)`", what)}
    assert {
        re.sub(r"^(discovery\.k8s\.io|events\.k8s\.io|argoproj\.io|coordination\.k8s\.io)/", "", name) for name in names
    } <= granted


def test_the_rights_of_every_rung_are_told() -> None:
    spec = model.Service.model_validate({"workload": "deployment/web", "sync": [{"from": "/l", "to": "/app"}]})
    asked = look_cluster.needed([spec], facts.Server(1, 35, "v1.35.0"), "dev")
    text = section("The Role, line by line")
    for rung in ("admission", "ephemeral", "patch"):
        (row,) = re.findall(rf"^\| {rung} \| (.*) \|$", text, re.MULTILINE)
        for each in asked[rung]:
            if each.kind() not in {"pods", "deployments"}:
                assert f"`{each.verb}`" in row and each.kind() in row, each
