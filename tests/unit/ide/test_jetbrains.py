from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from devloop.config import model
from devloop.ide import debuggers, facts, jetbrains

SCHEMA = {"title": "devloop.yaml"}


def known(within: str = "", kind: str = "", **service: Any) -> facts.Facts:
    folder = f"/w/{within}".rstrip("/")
    web = {"workload": "deployment/web", "sync": [{"from": "./web", "to": "/app"}], **service}
    config = model.Config.model_validate({"version": 1, "services": {"web": web}}, context={"folder": folder})
    chosen = dict([debuggers.override(f"web={kind}")]) if kind else {}
    return facts.gather(config, folder, "/w", chosen=chosen, followed={})


def written(project: facts.Facts, texts: dict[str, str] | None = None, *, force: bool = False) -> dict[str, str]:
    return {file.path: file.after for file in jetbrains.files(project, (texts or {}).get, SCHEMA, force=force)}


def notes(project: facts.Facts, texts: dict[str, str]) -> list[str]:
    return [note for file in jetbrains.files(project, texts.get, SCHEMA, force=False) for note in file.notes]


def configuration(text: str) -> ElementTree.Element:
    found = ElementTree.fromstring(text).find("configuration")
    assert found is not None
    return found


def options(text: str) -> dict[str, str]:
    return {each.get("name", ""): each.get("value", "") for each in configuration(text).findall("option")}


def test_the_watch_is_a_shell_script_in_a_terminal() -> None:
    made = written(known("shop & co"))
    text = made[".run/devloop watch (shop & co).run.xml"]
    assert configuration(text).get("type") == "ShConfigurationType"
    assert configuration(text).get("name") == "devloop watch (shop & co)"
    assert options(text)["SCRIPT_TEXT"] == "devloop watch" and options(text)["EXECUTE_IN_TERMINAL"] == "true"
    assert options(text)["SCRIPT_WORKING_DIRECTORY"] == "$PROJECT_DIR$/shop & co"
    assert "devloop stop (a_b)" in str(list(written(known("a/b"))))


@pytest.mark.parametrize(
    ("kind", "type_", "port"),
    [
        ("node", "ChromiumRemoteDebugType", {"port": "9229", "host": "127.0.0.1"}),
        ("dlv", "GoRemoteDebugConfigurationType", {"port": "2345", "host": "127.0.0.1"}),
        ("jdwp", "Remote", {}),
        ("pydevd", "PyRemoteDebugConfigurationType", {}),
    ],
)
def test_debuggers(kind: str, type_: str, port: dict[str, str]) -> None:
    text = written(known(kind=kind))[".run/devloop attach to web.run.xml"]
    found = configuration(text)
    assert found.get("type") == type_ and port.items() <= found.attrib.items()
    if kind == "jdwp":
        assert (options(text)["HOST"], options(text)["PORT"], options(text)["SERVER_MODE"]) == (
            "127.0.0.1",
            "5005",
            "false",
        )
    if kind == "pydevd":
        mapping = found.find("PathMappingSettings/option/list/mapping")
        assert mapping is not None
        assert mapping.attrib == {"local-root": "$PROJECT_DIR$/web", "remote-root": "/app"}
    else:
        before = found.find("method/option")
        assert before is not None and before.get("run_configuration_name") == "devloop flush"


def test_debugpy_has_no_configuration_and_that_is_told() -> None:
    assert ".run/devloop attach to web.run.xml" not in written(known(kind="debugpy"))
    assert "--debug web=pydevd" in jetbrains.notes(known(kind="debugpy"))[0]
    assert "/w/web is /app" in jetbrains.notes(known(kind="node"))[0]
    assert jetbrains.notes(known(kind="jdwp")) == []


def test_twice_is_once_and_what_somebody_changed_is_kept() -> None:
    first = written(known(kind="node"))
    assert written(known(kind="node"), first) == first and notes(known(kind="node"), first) == []
    path = ".run/devloop attach to web.run.xml"
    assert written(known(kind="node:9300"), first)[path] != first[path]
    mine = {**first, path: first[path].replace("9229", "9400")}
    assert written(known(kind="node:9300"), mine)[path] == mine[path]
    assert path in notes(known(kind="node:9300"), mine)[0]
    assert 'port="9300"' in written(known(kind="node:9300"), mine, force=True)[path]
    assert written(known(), {path: "", ".run/devloop stop.run.xml": "mine"})[".run/devloop stop.run.xml"] == "mine"
