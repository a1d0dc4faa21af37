"""`devloop ide` on real folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devloop.cli import output
from devloop.ide import jsonc
from tests.unit.cli.run import devloop

TEXT = """\
version: 1
services:
  web: {workload: deployment/web, sync: [{from: ./web, to: /app}], ports: ["5678"]}
  api: {workload: deployment/api, sync: [{from: ./api, to: /app}]}
"""
TASKS = '{\n  // mine\n  "tasks": [{ "label": "build" }]\n}\n'


@pytest.fixture(autouse=True)
def _project() -> None:
    Path("devloop.yaml").write_text(TEXT)


def names(path: str, member: str) -> list[str]:
    node = jsonc.parse(Path(path).read_text(), path)
    assert node is not None
    return [each.get("label") or each.get("name") for each in node.value[member]]


def test_it_shows_what_would_change_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    ended = devloop(capsys, "ide", "vscode")
    assert ended.status == 0 and not Path(".vscode").exists()
    assert "--- /dev/null\n+++ .vscode/tasks.json\n" in ended.out
    assert "4 of 4 files would change" in ended.err
    assert "note: api: no debugger" in ended.err and "--debug api=KIND" in ended.err


def test_it_prints_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    ended = devloop(capsys, "ide", "vscode", "--print")
    assert ended.status == 0 and not Path(".vscode").exists()
    assert ended.out.startswith('==> .vscode/tasks.json <==\n{\n  "version": "2.0.0"')


def test_it_writes_and_a_second_time_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".vscode").mkdir()
    Path(".vscode/tasks.json").write_text(TASKS)
    ended = devloop(capsys, "ide", "vscode", "--write", "--debug", "api=node:9300")
    assert ended.status == 0 and "wrote .vscode/tasks.json" in ended.err and ended.out == ""
    assert names(".vscode/tasks.json", "tasks")[0] == "build" and "// mine" in Path(".vscode/tasks.json").read_text()
    assert names(".vscode/launch.json", "configurations") == ["devloop: attach to web", "devloop: attach to api"]
    before = {path: path.read_bytes() for path in Path(".vscode").iterdir()}
    again = devloop(capsys, "ide", "vscode", "--write", "--debug", "api=node:9300")
    assert again.status == 0 and "unchanged: .vscode/tasks.json" in again.err and "wrote" not in again.err
    assert {path: path.read_bytes() for path in Path(".vscode").iterdir()} == before
    shown = devloop(capsys, "ide", "vscode", "--debug", "api=node:9300")
    assert shown.out == "" and "nothing to change" in shown.err


def test_jetbrains(capsys: pytest.CaptureFixture[str]) -> None:
    ended = devloop(capsys, "ide", "jetbrains", "--write", "--debug", "web=jdwp")
    assert ended.status == 0
    assert sorted(path.name for path in Path(".run").iterdir()) == [
        "devloop attach to web.run.xml",
        "devloop flush.run.xml",
        "devloop stop.run.xml",
        "devloop watch.run.xml",
    ]
    assert Path(".idea/jsonSchemas.xml").exists() and Path(".idea/devloop.schema.json").exists()
    assert "nothing to change" in devloop(capsys, "ide", "jetbrains", "--debug", "web=jdwp").err


def test_a_workspace_above(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("repo/shop").mkdir(parents=True)
    Path("devloop.yaml").rename("repo/shop/devloop.yaml")
    Path("repo/.git").mkdir()
    monkeypatch.chdir("repo/shop")
    assert devloop(capsys, "ide", "vscode", "--write").status == 0
    assert "devloop: watch (shop)" in names("../.vscode/tasks.json", "tasks")
    assert devloop(capsys, "ide", "vscode", "--write", "--workspace", ".").status == 0
    assert "devloop: watch" in names(".vscode/tasks.json", "tasks")
    ended = devloop(capsys, "ide", "vscode", "--workspace", "/usr")
    assert ended.status == 2 and "does not lie in" in ended.err
    assert devloop(capsys, "ide", "vscode", "--workspace", "nowhere").status == 2


def test_what_is_broken_is_told_and_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".vscode").mkdir()
    Path(".vscode/launch.json").write_text('{\n  "configurations": [,]\n}\n')
    ended = devloop(capsys, "ide", "vscode", "--write")
    assert ended.status == 2 and ended.err.startswith(".vscode/launch.json:2:22: error: a value is missing")
    assert [path.name for path in Path(".vscode").iterdir()] == ["launch.json"]
    Path(".vscode/launch.json").unlink()
    Path(".vscode").rmdir()
    Path(".vscode").write_text("")
    ended = devloop(capsys, "ide", "vscode", "--write")
    assert ended.status == 1 and "error[DL0361]: .vscode/tasks.json cannot be read" in ended.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("vscode", "--write", "--print"), "exclude each other"),
        (("vscode", "--debug", "web"), "does not say which debugger"),
        (("vscode", "--debug", "wbe=node"), "no service 'wbe'"),
        (("emacs",), "no verb 'emacs'"),
        (("vscode", "--file", "nowhere.yaml"), "there is no file"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], what: str) -> None:
    ended = devloop(capsys, "ide", *arguments)
    assert ended.status == 2 and what in ended.err and ended.out == ""


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a\x1b]0;x\x07").mkdir()
    Path("devloop.yaml").rename("a\x1b]0;x\x07/devloop.yaml")
    Path(".git").mkdir()
    for form in ("--quiet", "--print", "--write"):
        ended = devloop(capsys, "ide", "jetbrains", form, "--file", "a\x1b]0;x\x07")
        assert ended.status == 0 and "\x1b" not in ended.err + ended.out
    assert "\x1b" not in devloop(capsys, "ide", "vscode", "--file", "a\x1b]0;x\x07").out


@pytest.mark.parametrize("editor", ["vscode", "jetbrains"])
def test_a_folder_whose_name_is_no_utf_8(capsys: pytest.CaptureFixture[str], editor: str) -> None:
    output.prepare()
    folder = Path(os.fsdecode(b"caf\xe9"))
    folder.mkdir()
    Path("devloop.yaml").rename(folder / "devloop.yaml")
    Path(".git").mkdir()
    ended = devloop(capsys, "ide", editor, "--write", "--file", str(folder))
    assert ended.status == 0, ended.err
    again = devloop(capsys, "ide", editor, "--write", "--file", str(folder))
    assert again.status == 0 and "wrote" not in again.err
