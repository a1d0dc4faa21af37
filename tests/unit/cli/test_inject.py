"""`devloop inject`: what is printed, what is said, and how it ends."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.cli.run import devloop
from tests.unit.manifests import texts


@pytest.fixture(autouse=True)
def _project() -> None:
    Path("devloop.yaml").write_text(
        "version: 1\nservices:\n"
        "  web: {workload: deployment/web, sync: [{from: ./src, to: /app}]}\n"
        "  api: {workload: deployment/api, sync: [{from: ./src, to: /app}]}\n"
        "  here: {target: {local: ./t}, sync: [{from: ./a, to: /app}]}\n"
    )
    Path("m.yaml").write_text(texts.DEPLOYMENT)


def stdin(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


def test_a_file_and_stdin_give_the_same(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from_file = devloop(capsys, "inject", "-f", "m.yaml")
    assert from_file.status == 0
    assert "devloop: deployment/web is ready" in from_file.err
    assert "api: deployment/api is not in m.yaml" in from_file.err
    stdin(monkeypatch, texts.DEPLOYMENT.encode())
    assert devloop(capsys, "inject").out == from_file.out
    stdin(monkeypatch, from_file.out.encode())
    assert devloop(capsys, "inject", "-f", "-", "--uninject").out == texts.DEPLOYMENT


def test_notes_with_v_and_silence_with_q(capsys: pytest.CaptureFixture[str]) -> None:
    assert "/app is a volume of its own" in devloop(capsys, "inject", "-f", "m.yaml", "-v").err
    assert devloop(capsys, "inject", "-f", "m.yaml", "-q").err == ""


@pytest.mark.parametrize(
    ("arguments", "environ", "image"),
    [
        ([], "", "ghcr.io/devloop-k8s/agent:"),
        ([], "mine/agent:2", "mine/agent:2"),
        (["--agent-image", "x:1"], "mine/agent:2", "x:1"),
    ],
)
def test_the_agents_image(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environ: str,
    image: str,
) -> None:
    if environ:
        monkeypatch.setenv("DEVLOOP_AGENT_IMAGE", environ)
    spec = yaml.safe_load(devloop(capsys, "inject", "-f", "m.yaml", *arguments).out)["spec"]["template"]["spec"]
    assert spec["initContainers"][-1]["image"].startswith(image)


def test_what_may_be_dialled(capsys: pytest.CaptureFixture[str]) -> None:
    made = devloop(capsys, "inject", "-f", "m.yaml", "--allow-dial", "*.other", "--allow-dial", "db.example.com:5432")
    spec = yaml.safe_load(made.out)["spec"]["template"]["spec"]
    assert spec["initContainers"][-1]["args"][-4:] == ["--allow-dial", "*.other", "--allow-dial", "db.example.com:5432"]
    ended = devloop(capsys, "inject", "-f", "m.yaml", "--allow-dial", "db:0")
    assert ended.status == 2 and "neither a name nor a network" in ended.err


def test_the_clusters_version(capsys: pytest.CaptureFixture[str]) -> None:
    made = yaml.safe_load(devloop(capsys, "inject", "-f", "m.yaml", "--kube-version", "v1.28.3").out)
    assert [each["name"] for each in made["spec"]["template"]["spec"]["containers"]] == ["app", "devloop-agent"]
    ended = devloop(capsys, "inject", "-f", "m.yaml", "--kube-version", "new")
    assert ended.status == 2 and "no version of Kubernetes" in ended.err


def test_no_match_names_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    ended = devloop(capsys, "inject", "-f", "m.yaml", "--service", "api")
    assert (ended.status, ended.out) == (2, "")
    assert "error[DL0812]: no workload in m.yaml is one of deployment/api" in ended.err
    assert "it has deployment/web" in ended.err


def test_nothing_to_take_out(capsys: pytest.CaptureFixture[str]) -> None:
    ended = devloop(capsys, "inject", "-f", "m.yaml", "--uninject")
    assert (ended.status, ended.out) == (2, "") and "no workload in m.yaml has the agent in it" in ended.err
    Path("m.yaml").write_text("a: 1\n")
    assert "it has no workloads at all" in devloop(capsys, "inject", "-f", "m.yaml").err


def test_uninject_needs_no_project(capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.yaml").write_text(devloop(capsys, "inject", "-f", "m.yaml").out)
    Path("devloop.yaml").unlink()
    assert devloop(capsys, "inject", "-f", "m.yaml", "--uninject").out == texts.DEPLOYMENT


def test_a_problem_has_its_place_and_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.yaml").write_text(texts.DEPLOYMENT.replace("runAsUser: 1000", ""))
    ended = devloop(capsys, "inject", "-f", "m.yaml")
    assert (ended.status, ended.out) == (2, "")
    assert "m.yaml:14:11: error: deployment/web: nobody says which user the app runs as" in ended.err
    assert "[DL0803]" in ended.err and "hint: add run_as" in ended.err


def test_one_of_two_is_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    other = texts.DEPLOYMENT.replace("{name: web}", "{name: api}").replace("runAsUser: 1000", "")
    Path("m.yaml").write_text(f"{texts.DEPLOYMENT}---\n{other}")
    ended = devloop(capsys, "inject", "-f", "m.yaml")
    assert ended.status == 3
    assert ended.out.endswith(f"---\n{other}") and "devloop-agent" in ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-f", "missing.yaml"], "missing.yaml cannot be read"),
        (["-f", "latin.yaml"], "not UTF-8 text: byte 3"),
        (["-f", "m.yaml", "--service", "zzz"], "no service 'zzz'"),
        (["-f", "m.yaml", "--service", "here"], "a target on this machine"),
        (["-f", "broken.yaml"], "broken.yaml:1:5: error: not valid YAML"),
        (["-f", "m.yaml", "--uninject", "--print-component"], "exclude each other"),
    ],
)
def test_what_cannot_be_done(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    Path("latin.yaml").write_bytes(b"a: \xff")
    Path("broken.yaml").write_text("a: b: c\n")
    ended = devloop(capsys, "inject", *arguments)
    assert (ended.status, ended.out) == (2, "") and words in ended.err


def test_a_terminal_is_no_manifest(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert "there are no manifests" in devloop(capsys, "inject").err


def test_a_project_without_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    Path("devloop.yaml").write_text("version: 1\nservices:\n  a: {target: {local: ./t}, sync: [{from: ./a, to: /b}]}\n")
    assert "no service of devloop.yaml has a workload" in devloop(capsys, "inject", "-f", "m.yaml").err


def test_templates_for_a_chart(capsys: pytest.CaptureFixture[str]) -> None:
    ended = devloop(capsys, "inject", "-f", "m.yaml", "--print-helm")
    assert ended.status == 0 and 'define "devloop.initContainers"' in ended.out


def test_a_claim_is_not_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("devloop.local.yaml").write_text("services: {web: {persist: [/cache]}}\n")
    assert "add the claim devloop-web too" in devloop(capsys, "inject", "-f", "m.yaml", "--print-component").err


def test_a_component(capsys: pytest.CaptureFixture[str]) -> None:
    made = yaml.safe_load(devloop(capsys, "inject", "-f", "m.yaml", "--print-component").out)
    assert made["kind"] == "Component" and made["patches"][0]["target"]["name"] == "web"
    other = texts.DEPLOYMENT.replace("{name: web}", "{name: api}")
    Path("m.yaml").write_text(f"{texts.DEPLOYMENT}---\n{other}")
    ended = devloop(capsys, "inject", "-f", "m.yaml", "--print-component")
    assert ended.status == 2 and "deployment/web and deployment/api need one each" in ended.err
