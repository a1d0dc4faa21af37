from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from devloop.config import model
from devloop.ide import debuggers, facts, jsonc, vscode
from devloop.ui import markers
from tests.unit.ide import editor

SCHEMA = {"title": "devloop.yaml"}


def known(within: str = "", *, chosen: dict[str, debuggers.Found] | None = None, **services: Any) -> facts.Facts:
    folder = f"/w/{within}".rstrip("/")
    found = services or {"web": {}}
    for name, service in found.items():
        service.setdefault("sync", [{"from": f"./{name}", "to": "/app"}])
        if not {"workload", "target"} & service.keys():
            service["workload"] = f"deployment/{name}"
    config = model.Config.model_validate({"version": 1, "services": found}, context={"folder": folder})
    return facts.gather(config, folder, "/w", chosen=chosen or {}, followed={})


def written(project: facts.Facts, texts: dict[str, str] | None = None, *, force: bool = False) -> dict[str, str]:
    made = vscode.files(project, (texts or {}).get, SCHEMA, force=force)
    return {file.path: file.after for file in made}


def notes(project: facts.Facts, texts: dict[str, str]) -> list[str]:
    return [note for file in vscode.files(project, texts.get, SCHEMA, force=False) for note in file.notes]


def value_of(text: str) -> Any:
    node = jsonc.parse(text, "x")
    assert node is not None
    return node.value


def launch(project: facts.Facts) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = value_of(written(project)[".vscode/launch.json"])["configurations"]
    return made


# ---- what is written ------------------------------------------------------------------------------------------------


def test_debugpy() -> None:
    two = [{"from": "./web", "to": "/app"}, {"from": ".", "to": "/srv/all"}]
    [made] = launch(known(web={"ports": ["15678:5678"], "sync": two}))
    assert made == {
        "name": "devloop: attach to web",
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": 15678},
        "pathMappings": [
            {"localRoot": "${workspaceFolder}/web", "remoteRoot": "/app"},
            {"localRoot": "${workspaceFolder}", "remoteRoot": "/srv/all"},
        ],
        "justMyCode": True,
        "preLaunchTask": "devloop: in sync",
    }


def test_node() -> None:
    [made] = launch(known("shop", web={"ports": ["9229"]}))
    assert made["name"] == "devloop: attach to web (shop)" and made["preLaunchTask"] == "devloop: in sync (shop)"
    assert (made["type"], made["address"], made["port"], made["restart"]) == ("node", "127.0.0.1", 9229, True)
    assert (made["localRoot"], made["remoteRoot"]) == ("${workspaceFolder}/shop/web", "/app")


def test_java_and_go() -> None:
    java, go = launch(known(web={"ports": ["5005"]}, api={"ports": ["40000"]}))
    assert (java["type"], java["hostName"], java["port"]) == ("java", "127.0.0.1", 5005)
    assert java["sourcePaths"] == ["${workspaceFolder}/web"]
    assert (go["type"], go["request"], go["mode"], go["port"]) == ("go", "attach", "remote", 40000)
    assert go["substitutePath"] == [{"from": "${workspaceFolder}/api", "to": "/app"}]


def test_no_debugger_is_no_entry_and_no_file() -> None:
    assert ".vscode/launch.json" not in written(known(web={}))
    pydevd = known(web={}, chosen={"web": debuggers.Found(debuggers.Kind.PYDEVD, 5678)})
    assert ".vscode/launch.json" not in written(pydevd)
    assert "not to pydevd" in vscode.notes(pydevd)[0]


def test_what_vs_code_cannot_is_told() -> None:
    two = [{"from": "./web", "to": "/app"}, {"from": "/elsewhere", "to": "/srv"}]
    told = vscode.notes(known(web={"ports": ["9229"], "sync": two}))
    assert "maps one folder" in told[0] and "/elsewhere lies outside" in told[1]


def test_f5_waits_for_the_watch_and_then_for_the_flush() -> None:
    tasks = {task["label"]: task for task in value_of(written(known("shop"))[".vscode/tasks.json"])["tasks"]}
    before = tasks["devloop: in sync (shop)"]
    assert before["dependsOn"] == ["devloop: watch (shop)", "devloop: flush (shop)"]
    assert before["dependsOrder"] == "sequence" and all(label in tasks for label in before["dependsOn"])
    assert tasks["devloop: watch (shop)"]["isBackground"] and "isBackground" not in tasks["devloop: flush (shop)"]
    assert {task.get("options", {}).get("cwd", "") for task in tasks.values()} == {"", "${workspaceFolder}/shop"}


def test_the_schema_is_associated_without_a_network() -> None:
    made = written(known())
    assert value_of(made[".vscode/settings.json"]) == {
        "yaml.schemas": {"./.vscode/devloop.schema.json": ["**/devloop.yaml"]}
    }
    assert json.loads(made[".vscode/devloop.schema.json"])["title"] == "devloop.yaml"


# ---- merging --------------------------------------------------------------------------------------------------------

MINE = (
    '{\n\t// mine\n\t"version": "2.0.0",\n\t"tasks": [\n\t\t{ "label": "build", "type": "shell" }, // quick\n\t],\n}\n'
)


def test_what_the_user_has_stays_and_twice_is_once() -> None:
    first = written(known(), {".vscode/tasks.json": MINE, ".vscode/settings.json": '{ "a.b": 1 } // end\n'})
    assert first[".vscode/tasks.json"].startswith(MINE[: MINE.index(" // quick")])
    assert "// quick" in first[".vscode/tasks.json"] and "// mine" in first[".vscode/tasks.json"]
    assert value_of(first[".vscode/tasks.json"])["tasks"][0] == {"label": "build", "type": "shell"}
    assert first[".vscode/settings.json"].endswith("// end\n")
    assert written(known(), first) == first and notes(known(), first) == []


def test_crlf_and_a_byte_order_mark_stay() -> None:
    text = "\ufeff" + MINE.replace("\n", "\r\n")
    made = written(known(), {".vscode/tasks.json": text})[".vscode/tasks.json"]
    assert made.startswith("\ufeff{\r\n") and "\n" not in made.replace("\r\n", "")


def test_an_entry_of_ours_follows_devloop_yaml() -> None:
    first = written(known(web={"ports": ["5678"]}))
    second = written(known(web={"ports": ["7000:5678"]}), first)
    assert launch(known(web={"ports": ["7000:5678"]})) == value_of(second[".vscode/launch.json"])["configurations"]
    third = written(known(web={}), second)
    assert third[".vscode/launch.json"] == second[".vscode/launch.json"]
    assert notes(known(web={}), second) == [
        '.vscode/launch.json: nothing asks for "devloop: attach to web" any more: delete it'
    ]


@pytest.mark.parametrize(
    "change", [('"stop"]', '"stop", "--force"]'), ('"args": ["stop"]', '/* why */ "args": ["stop"]')]
)
def test_an_entry_that_somebody_changed_is_kept(change: tuple[str, str]) -> None:
    first = written(known())
    mine = {**first, ".vscode/tasks.json": first[".vscode/tasks.json"].replace(*change)}
    assert mine != first
    changed = '"detail": "End the watching process"'
    older = {**mine, ".vscode/tasks.json": mine[".vscode/tasks.json"].replace(changed, '"detail": "old"')}
    assert written(known(), older)[".vscode/tasks.json"] == older[".vscode/tasks.json"]
    assert '"devloop: stop" was not written by devloop' in notes(known(), older)[0]
    forced = written(known(), older, force=True)[".vscode/tasks.json"]
    assert value_of(forced) == value_of(first[".vscode/tasks.json"])


def test_two_projects_share_a_workspace() -> None:
    first = written(known("shop", web={"ports": ["5678"]}))
    both = written(known("admin", web={"ports": ["5678"]}), first)
    labels = [task["label"] for task in value_of(both[".vscode/tasks.json"])["tasks"]]
    assert len(set(labels)) == len(labels) == 8
    assert written(known("shop", web={"ports": ["5678"]}), both) == both
    assert notes(known("shop", web={"ports": ["5678"]}), both) == []


def test_another_schema_of_the_user_is_kept() -> None:
    name = "./.vscode/devloop.schema.json"
    mine = {".vscode/settings.json": json.dumps({"yaml.schemas": {name: "x.yaml", "other": "y"}})}
    assert written(known(), mine)[".vscode/settings.json"] == mine[".vscode/settings.json"]
    assert name in notes(known(), mine)[0]
    forced = value_of(written(known(), mine, force=True)[".vscode/settings.json"])
    assert forced == {"yaml.schemas": {name: ["**/devloop.yaml"], "other": "y"}}


# ---- the patterns on what devloop really prints ---------------------------------------------------------------------

HOOK = r"""
print("app.py:3:1: F401 `os` imported but unused")
print(f"{__import__('os').getcwd()}/app.py:4:2: error: no such thing")
print("src/a.ts(3,5): error TS2322: not assignable")
print("src/b.ts:7:9 - error TS2304: cannot find it")
raise SystemExit(3)
"""

PROJECT = f"""\
version: 1
services:
  web:
    target: {{local: ./.devloop/web}}
    sync: [{{from: ./web, to: /app}}]
    on_change:
      - {{paths: [lint.txt], run: ["{sys.executable}", lint.py], name: lint}}
"""


def project(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "devloop.yaml").write_text(PROJECT)
    (folder / "web").mkdir()
    (folder / "web/lint.py").write_text(HOOK)
    (folder / "web/app.py").write_text("pass\n")


def count(word: str) -> Any:
    return lambda lines: sum(line.startswith(word) for line in lines)


def test_the_patterns_read_a_real_watch_on_a_real_terminal(workspace: Path) -> None:
    project(workspace / "shop")
    (workspace / ".git").mkdir()
    assert editor.devloop("ide", "vscode", "--write", "--file", "shop") == 0
    task = editor.entry(workspace / ".vscode/tasks.json", "tasks", "devloop: watch (shop)")
    with editor.run_task(task, workspace) as terminal:
        terminal.until(lambda lines: "devloop: ready" in lines)
        (workspace / "shop/web/lint.txt").write_text("x" * 200)
        terminal.until(
            lambda lines: (
                count("devloop: sync complete")(lines) == 2
                and any("lint failed" in each for each in lines)
                and any("TS2304" in each for each in lines)
            )
        )
        (workspace / "shop/web/app.py").write_text("pass  # again\n")
        lines = terminal.until(lambda lines: count("devloop: sync complete")(lines) == 3)
    seen = editor.collected(task["problemMatcher"], lines)
    assert [what for what, *_ in seen if what != "problem"] == ["busy", "idle"] * 3
    assert [each[1:] for each in seen if each[0] == "problem"] == [
        ["app.py", "3", "1", "warning", "F401", "`os` imported but unused"],
        ["web/app.py", "4", "2", "error", None, "no such thing"],
        ["src/a.ts", "3", "5", "error", "TS2322", "not assignable"],
        ["src/b.ts", "7", "9", "error", "TS2304", "cannot find it"],
    ]


def test_the_patterns_read_errors_of_devloop_yaml(workspace: Path) -> None:
    project(workspace)
    assert editor.devloop("ide", "vscode", "--write") == 0
    task = editor.entry(workspace / ".vscode/tasks.json", "tasks", "devloop: watch")
    (workspace / "devloop.yaml").write_text(PROJECT + "    reload: sometimes\n    recipe: 3\n")
    with editor.run_task(task, workspace) as terminal:
        lines = terminal.until(lambda lines: False)
        assert terminal.process.wait(30) == 2
    found = [each[1:6] for each in editor.collected(task["problemMatcher"], lines) if each[0] == "problem"]
    assert [each[:4] for each in found] == [["devloop.yaml", "8", "13", "error"], ["devloop.yaml", "9", "5", "error"]]


def test_whoever_joins_a_running_watch_does_not_wait_in_vain(workspace: Path) -> None:
    project(workspace)
    assert editor.devloop("ide", "vscode", "--write") == 0
    task = editor.entry(workspace / ".vscode/tasks.json", "tasks", "devloop: watch")
    with editor.run_task(task, workspace) as first:
        first.until(lambda lines: "devloop: ready" in lines)
        with editor.run_task(task, workspace) as second:
            lines = second.until(lambda lines: any(line.startswith("joining") for line in lines))
        flush = editor.entry(workspace / ".vscode/tasks.json", "tasks", "devloop: flush")
        with editor.run_task(flush, workspace) as third:
            third.until(lambda lines: False)
            assert third.process.wait(30) == 0
    assert [what for what, *_ in editor.collected(task["problemMatcher"], lines)][:2] == ["busy", "idle"]


def test_the_patterns_know_every_marker_and_nothing_that_an_app_says() -> None:
    [task, *_] = value_of(written(known())[".vscode/tasks.json"])["tasks"]
    lines = [
        markers.started(1),
        markers.complete(0.4),
        markers.started(1200),
        markers.FAILED,
        markers.started(2),
        markers.READY,
        "web | devloop: sync started (1 file)",
        "web | devloop: sync complete in 1 ms",
        "web | 2024-01-01 12:34:56: error: of the app",
        "web: app running (pid 12), start 2",
        "web: not in sync: the build failed: exit 1",
        "watching shop in /w: web",
    ]
    seen = editor.collected(task["problemMatcher"], lines)
    assert [what for what, *_ in seen] == ["busy", "idle"] + ["busy", "idle"] * 2


def test_the_patterns_are_not_slow_on_long_lines() -> None:
    [task, *_] = value_of(written(known())[".vscode/tasks.json"])["tasks"]
    long = ["a" * 20000, "web lint | " + "a:1" * 3000, ":" * 20000, "(1,1" * 4000, "w | " * 3000, "1:" * 9000]
    assert editor.collected(task["problemMatcher"], long) == [["busy", ""]]
