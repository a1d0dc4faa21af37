"""A whole examination: what is asked, in which order it is told, and that trouble with one part leaves the rest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from devloop import errors
from devloop.config import load
from devloop.doctor import examine, report
from tests.unit.kube import fake_api

LOCAL = "  tmp: {target: {local: ./target}, sync: [{from: ./web, to: /app}]}\n"
AWAY = "  web: {workload: deployment/web, sync: [{from: ./web, to: /app}]}\n"


def project(folder: Path, services: str) -> load.Project:
    (folder / "devloop.yaml").write_text(f"version: 1\nservices:\n{services}")
    (folder / "web").mkdir()
    return load.load(str(folder / "devloop.yaml"))


def kubeconfig(folder: Path, server: str) -> str:
    path = folder / "kubeconfig"
    path.write_text(
        f"clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n"
        "users: [{name: u, user: {token: t}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u, namespace: dev}}]\ncurrent-context: x\n"
    )
    return str(path)


def levels(found: report.Report) -> dict[tuple[str, str], str]:
    return {(line.group, line.name): str(line.level) for line in found.lines}


async def test_a_project_of_this_machine_asks_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "devloop.doctor.look_cluster", None)
    found = await examine.examine(project(tmp_path, LOCAL), examine.Asked(("tmp",)))
    assert levels(found)[("service/tmp", "target")] == "pass"
    assert not [line for line in found.lines if line.group == "cluster"]
    assert not (tmp_path / "target").exists()


async def test_a_missing_kubeconfig_leaves_the_rest(tmp_path: Path) -> None:
    asked = examine.Asked(("web", "tmp"), kubeconfig=str(tmp_path / "none"))
    found = await examine.examine(project(tmp_path, AWAY + LOCAL), asked)
    told = levels(found)
    assert told[("cluster", "kubeconfig")] == "fail"
    assert told[("service/web", "workload")] == "unknown"
    assert told[("service/tmp", "target")] == "pass"


async def test_an_api_server_that_does_not_answer_is_exit_status_5(tmp_path: Path) -> None:
    asked = examine.Asked(("web",), kubeconfig=kubeconfig(tmp_path, "http://127.0.0.1:9"))
    found = await examine.examine(project(tmp_path, AWAY), asked)
    assert levels(found)[("cluster", "API server")] == "fail"
    assert found.exit_status is errors.Exit.UNREACHABLE


async def test_a_cluster_without_the_workload(tmp_path: Path) -> None:
    async with fake_api.serving() as server:
        server.on("GET", "/version", fake_api.giving({"major": "1", "minor": "30", "gitVersion": "v1.30.2"}))
        server.on("GET", "/api/v1/namespaces/dev", fake_api.giving({"metadata": {}}))
        reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        server.on("POST", reviews, fake_api.giving({"status": {"allowed": True}}))
        asked = examine.Asked(("web",), kubeconfig=kubeconfig(tmp_path, server.url))
        found = await examine.examine(project(tmp_path, AWAY), asked)
    told = levels(found)
    assert told[("cluster", "rights")] == "pass"
    assert told[("service/web", "workload")] == "fail"
    assert found.exit_status is errors.Exit.ERROR
    groups = [line.group for line in found.lines]
    assert list(dict.fromkeys(groups)) == ["machine", "cluster", "service/web"]
