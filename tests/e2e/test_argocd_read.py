"""`devloop env` reads Applications of the true schema, with the Role that it ships and no more.

There is no Argo CD here: what its controller would write is written by the tests. Skipped, saying so, without its CRDs.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import argocd, project, space

SERVICES = {"web": {"workload": "deployment/web", "sync": [{"from": "./web", "to": "/srv"}]}}
WEB = {"group": "apps", "kind": "Deployment", "name": "web"}


@pytest.fixture(autouse=True)
def kinds(ns: space.Space) -> None:
    argocd.installed(ns)


def laptop(folder: Path, ns: space.Space, *roles: str, **said: Any) -> project.Project:
    made = project.Project(folder, ns, ns.developer(*roles), SERVICES)
    made.write("web/index.html", "hello\n")
    made.write("devloop.local.yaml", yaml.safe_dump({"argocd": {"namespace": ns.name, **said}}))
    return made


@pytest.fixture
def shop(ns: space.Space) -> space.Space:
    """An app-of-apps with a generated child that owns the service `web`, and the ApplicationSet."""
    makes = {"apiVersion": argocd.VERSION, "kind": "ApplicationSet", "metadata": {"name": "devs"}}
    template = {"metadata": {"name": "x"}, "spec": argocd.application("x", ns.name)["spec"]}
    ns.apply({**makes, "spec": {"generators": [], "template": template}})
    uid = ns.get("applicationset", "devs")["metadata"]["uid"]
    child = argocd.application("shop", ns.name, renders=[{**WEB, "namespace": ns.name}])
    owner = {"apiVersion": argocd.VERSION, "kind": "ApplicationSet", "name": "devs", "uid": uid, "controller": True}
    child["metadata"]["ownerReferences"] = [owner]
    applications = {"group": "argoproj.io", "kind": "Application", "namespace": ns.name}
    parent = argocd.application("root", ns.name, renders=[{**applications, "name": "shop"}])
    ns.apply(child, parent, argocd.deployment("web", ns.name, "shop"))
    return ns


def status(made: project.Project, *arguments: str) -> dict[str, Any]:
    done = made.run("env", "status", "-o", "json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_environment_is_what_owns_the_services(shop: space.Space, tmp_path: Path) -> None:
    found = status(laptop(tmp_path, shop, "argocd"))
    assert {each["name"]: each["because"]["kind"] for each in found["applications"]} == {
        "shop": "workload",
        "root": "parent",
    }
    (service,) = found["services"]
    assert service["application"] == {"namespace": shop.name, "name": "shop"}
    assert service["problem"] == "it has no pods"


def test_owners_are_found_with_the_yaml_that_the_schema_takes(shop: space.Space, tmp_path: Path) -> None:
    made = laptop(tmp_path, shop, "argocd")
    app = next(each for each in status(made)["applications"] if each["name"] == "shop")
    assert {each["kind"]: each["switch"] for each in app["owners"]} == {
        "applicationset": "refuse",
        "app-of-apps": "refuse",
    }
    for each in app["owners"]:
        kind, name = ("applicationset", "devs") if each["kind"] == "applicationset" else ("application", "root")
        shop.admin("patch", kind, name, "--type=merge", "-p", json.dumps(yaml.safe_load(each["fix"]["yaml"])))
    after = next(each for each in status(made)["applications"] if each["name"] == "shop")
    assert {each["kind"]: each["switch"] for each in after["owners"]} == {
        "applicationset": "fine",
        "app-of-apps": "fine",
    }


def test_a_clone_of_the_templates_leads_to_the_file(shop: space.Space, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    (templates / "envs" / "shop").mkdir(parents=True)
    (templates / "envs" / "shop" / "web.yaml").write_text(
        "# it\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
    )
    for command in (["init", "-q"], ["remote", "add", "origin", argocd.REPO]):
        subprocess.run(["git", *command], cwd=templates, check=True)
    made = laptop(tmp_path, shop, "argocd", templates=str(templates))
    assert status(made)["services"][0]["source"]["files"] == [{"file": "envs/shop/web.yaml", "line": 2}]


def test_without_the_role_the_missing_right_is_named(shop: space.Space, tmp_path: Path) -> None:
    made = laptop(tmp_path, shop)
    done = made.run("env", "list")
    assert (done.returncode, done.stdout) == (4, "")
    assert "list applications" in done.stderr
    doctor = json.loads(made.run("doctor", "-o", "json").stdout)
    (line,) = [each for each in doctor["checks"] if each["group"] == "argocd"]
    assert (line["level"], "config/rbac/argocd" in line["fix"]) == ("warn", True)


def test_each_role_grants_its_part(shop: space.Space) -> None:
    reads = [(verb, "applications.argoproj.io") for verb in ("get", "list", "watch")]
    reads += [(verb, f"{kind}.argoproj.io") for verb in ("get", "list") for kind in ("applicationsets", "appprojects")]
    writes = [(verb, "applications.argoproj.io") for verb in ("create", "update", "patch", "delete")]
    assert shop.developer("argocd").denied([*reads, *writes]) == writes
    assert shop.developer("argocd", "argocd-patch").denied(writes) == [each for each in writes if each[0] != "patch"]


def test_doctor_tells_that_a_namespace_of_ones_own_is_narrow(shop: space.Space, tmp_path: Path) -> None:
    found = json.loads(laptop(tmp_path, shop, "argocd", "argocd-patch").run("doctor", "-o", "json").stdout)
    told = {each["name"]: each for each in found["checks"] if each["group"] == "argocd"}
    assert (told["Applications"]["level"], told["changes"]["level"]) == ("pass", "pass")
    assert f"in {shop.name}, within what their AppProject allows" in told["changes"]["text"]


def test_an_unknown_application_has_near_names(shop: space.Space, tmp_path: Path) -> None:
    done = laptop(tmp_path, shop, "argocd").run("env", "status", "shpo")
    assert done.returncode == 1
    assert "there is no Application shpo\nhint: did you mean shop?" in done.stderr


def lines_of(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield what a process prints, each line within a deadline."""
    told: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    stdout = process.stdout

    def read() -> None:
        for line in stdout:
            told.put(line.decode())
        told.put("")

    threading.Thread(target=read, daemon=True).start()
    while line := told.get(timeout=project.PATIENCE_S):
        yield line


def test_a_change_is_told_when_it_comes(shop: space.Space, tmp_path: Path) -> None:
    made = laptop(tmp_path, shop, "argocd")
    with made.started("env", "status", "shop", "--watch") as process:
        try:
            lines = lines_of(process)
            assert any(line.startswith("service web") for line in lines)
            change = {"status": {"sync": {"status": "OutOfSync"}, "health": {"status": "Degraded"}}}
            shop.admin("patch", "application", "shop", "--type=merge", "-p", json.dumps(change))
            found = [next(line for line in lines if line.startswith(f"{shop.name}/shop: ")) for _ in range(2)]
        finally:
            process.terminate()
    assert found == [f"{shop.name}/shop: Synced -> OutOfSync\n", f"{shop.name}/shop: Healthy -> Degraded\n"]
