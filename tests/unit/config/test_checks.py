from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from devloop.config import checks, model

SYNC: dict[str, Any] = {"from": "/p/src", "to": "/app"}
LOCAL: dict[str, Any] = {"target": {"local": "/p/.devloop/web"}, "sync": [SYNC]}
POD: dict[str, Any] = {"workload": "deployment/web", "sync": [SYNC]}


def found(**top: object) -> list[tuple[checks.Loc, str]]:
    config = model.Config.model_validate({"version": 1, **top})
    return [(finding.loc, finding.message) for finding in checks.check(config)]


def of_service(base: dict[str, Any], **more: object) -> list[tuple[checks.Loc, str]]:
    return [(loc[2:], message) for loc, message in found(services={"web": {**base, **more}})]


def test_what_is_right_is_passed() -> None:
    assert of_service(LOCAL) == []
    assert of_service(POD) == []
    assert found(forwards=["postgres:5432"]) == []


def test_a_file_must_ask_for_something() -> None:
    assert found() == [(("services",), "there is nothing to do")]


def test_a_service_has_exactly_one_destination() -> None:
    assert of_service({"sync": [SYNC]}) == [((), "it says nowhere to sync to")]
    assert of_service(LOCAL, workload="pod/x", selector={"a": "b"}) == [
        (("selector",), "workload and selector exclude each other"),
        (("target",), "workload and target exclude each other"),
    ]


@pytest.mark.parametrize(
    ("reload", "loc", "message"),
    [
        ({"mode": "signal"}, ("reload",), "mode: signal does not say which signal"),
        ({"mode": "command"}, ("reload",), "mode: command does not say what to run"),
        ({"mode": "supervise", "signal": "HUP"}, ("reload", "signal"), "signal means nothing with mode: supervise"),
        ({"run": ["x"]}, ("reload", "run"), "run means nothing with mode: none"),
    ],
)
def test_reload_says_what_its_mode_needs(reload: object, loc: checks.Loc, message: str) -> None:
    assert of_service(POD, reload=reload) == [(loc, message)]


def test_on_a_local_target_somebody_must_say_what_the_app_is() -> None:
    message = "mode: supervise has no app on a local target unless `command` says which"
    assert of_service(LOCAL, reload="supervise") == [(("reload",), message)]
    assert of_service(LOCAL, reload="supervise", command=["x"]) == []
    assert of_service(POD, reload="supervise") == []
    assert of_service(LOCAL, reload={"mode": "signal", "signal": "HUP"})[0][0] == ("reload",)
    assert of_service(LOCAL, reload={"mode": "command", "run": ["x"]}) == []


def test_what_only_a_pod_has_is_refused_on_a_local_target() -> None:
    assert of_service(LOCAL, container="app", persist=["/x"]) == [
        (("container",), "container means nothing on a local target"),
        (("persist",), "persist means nothing on a local target"),
    ]


@pytest.mark.parametrize(("first", "second"), [("/app", "/app"), ("/app", "/app/x"), ("/app/x", "/app")])
def test_two_syncs_must_not_fill_one_folder(first: str, second: str) -> None:
    syncs = [{"from": "/p/a", "to": first}, {"from": "/p/b", "to": second}]
    ((loc, message),) = of_service(POD, sync=syncs)
    assert loc == ("sync", 1, "to")
    assert message == f"{second} and {first} overlap: two syncs would fight over the same files"


def test_one_folder_may_fill_two_and_neighbours_may_share_a_prefix() -> None:
    syncs = [{"from": "/p/a", "to": "/app"}, {"from": "/p/a", "to": "/application"}, {"from": "/p/a/b", "to": "/x"}]
    assert of_service(POD, sync=syncs) == []


def test_two_services_are_two_containers() -> None:
    other = {**POD, "sync": [{"from": "/p/b", "to": "/b"}]}
    assert found(services={"a": POD, "b": other}) == [
        (("services", "b", "workload"), "a and b are the same container of deployment/web")
    ]
    assert found(services={"a": {**POD, "container": "x"}, "b": {**other, "container": "y"}}) == []


@pytest.mark.parametrize(
    ("source", "target", "clashes"),
    [
        ("/p", "/p", True),
        ("/p", "/p/out", True),
        ("/p/src", "/p", True),
        ("/p", "/p/.devloop/web", False),
        ("/p/.devloop", "/p/.devloop/web", True),
        ("/p/src", "/p/.devloop/web", False),
        ("/p", "/pq", False),
    ],
)
def test_from_and_local_target_do_not_contain_each_other(source: str, target: str, clashes: bool) -> None:
    service = {"target": {"local": target}, "sync": [{"from": source, "to": "/app"}]}
    locs = [loc for loc, _ in of_service(service)]
    assert locs == ([("sync", 0, "from")] if clashes else [])


def test_the_target_of_another_service_counts_too() -> None:
    services = {"a": {"target": {"local": "/p/out"}, "sync": [{"from": "/q", "to": "/a"}]}, "b": {**POD}}
    services["b"] = {**POD, "sync": [{"from": "/p", "to": "/b"}]}
    assert [loc for loc, _ in found(services=services)] == [("services", "b", "sync", 0, "from")]


def test_two_local_targets_are_two_folders() -> None:
    inner = {"target": {"local": "/p/.devloop/web/x"}, "sync": [SYNC]}
    assert found(services={"a": LOCAL, "b": inner}) == [
        (("services", "b", "target", "local"), "the targets of a and b overlap")
    ]


def test_a_local_port_is_taken_once() -> None:
    services = {"a": {**POD, "ports": ["8080:80", "8080"]}}
    assert found(services=services, forwards=["8080:x:1", "0.0.0.0:8080:y:1", "8080-8090:z:1"]) == [
        (("services", "a", "ports", 1), "the local port 8080 is taken by a already"),
        (("forwards", 0), "the local port 8080 is taken by a already"),
    ]


def sources(tmp_path: Path, source: str, target: str = "out") -> list[str]:
    service = {"target": {"local": str(tmp_path / target)}, "sync": [{"from": str(tmp_path / source), "to": "/app"}]}
    config = model.Config.model_validate({"version": 1, "services": {"web": service}})
    return [finding.message.replace(str(tmp_path), "") for _, _, finding in checks.look_at_sources(config)]


def test_a_folder_that_can_be_read_is_a_good_source(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    assert sources(tmp_path, "src") == []


def test_sources_that_are_missing_or_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert sources(tmp_path, "none") == ["the folder /none does not exist"]
    assert sources(tmp_path, "file") == ["/file is not a folder"]
    assert sources(tmp_path, "file/below") == ["/file/below cannot be reached: a part of the path is a file"]


def test_a_link_that_leads_nowhere_or_in_circles_is_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert sources(tmp_path, "loop") == ["the folder /loop cannot be reached: Too many levels of symbolic links"]
    assert sources(tmp_path, "dangling") == ["the folder /dangling does not exist"]


def test_an_unreadable_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src").mkdir()
    # The tests may run as root, whom no mode keeps out.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert sources(tmp_path, "src") == ["the folder /src may not be read"]


def test_a_target_that_a_link_puts_into_the_source_is_told(tmp_path: Path) -> None:
    (tmp_path / "src" / "inner").mkdir(parents=True)
    (tmp_path / "out").symlink_to("src/inner")
    assert sources(tmp_path, "src") == ["the local target /src/inner lies in the folder /src"]
