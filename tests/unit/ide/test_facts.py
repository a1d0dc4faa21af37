from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.config import model
from devloop.ide import debuggers, facts
from devloop.ide.facts import Attach, Folder


def gather(service: dict[str, Any], folder: str = "/w/shop", **more: Any) -> facts.Facts:
    given = {"version": 1, "name": "shop", "services": {"web": {"sync": [{"from": "./web", "to": "/app"}], **service}}}
    config = model.Config.model_validate(given, context={"folder": folder})
    return facts.gather(config, folder, "/w", **{"chosen": {}, "followed": {}, **more})


WORKLOAD = {"workload": "deployment/web"}


def test_paths_are_told_from_the_workspace() -> None:
    found = gather(WORKLOAD)
    assert (found.within, found.suffix) == ("shop", " (shop)")
    assert found.at("$W", "/w/shop/web") == "$W/shop/web"
    assert found.at("$W", "/w") == "$W" and found.at("$W", "/wide/x") == "/wide/x"
    assert gather(WORKLOAD, folder="/w").suffix == ""


def test_a_project_outside_the_workspace_is_refused() -> None:
    with pytest.raises(errors.UsageError, match="does not lie in"):
        gather(WORKLOAD, folder="/elsewhere")


def test_a_debugger_is_reached_through_its_forward() -> None:
    port = "5678"
    assert gather({**WORKLOAD, "ports": [port]}).services[0].attach == Attach(debuggers.Kind.DEBUGPY, "127.0.0.1", 5678)
    moved = gather({**WORKLOAD, "ports": ["127.0.0.2:15678:5678"]}).services[0]
    assert moved.attach == Attach(debuggers.Kind.DEBUGPY, "127.0.0.2", 15678) and moved.notes == ()
    ranged = gather({**WORKLOAD, "ports": ["6000-6010:5678"]}).services[0]
    assert ranged.attach is not None and ranged.attach.port == 6000 and "6000-6010" in ranged.notes[0]


def test_what_is_missing_is_told() -> None:
    nothing = gather(WORKLOAD).services[0]
    assert nothing.attach is None and "--debug web=KIND" in nothing.notes[0]
    chosen = {"web": debuggers.Found(debuggers.Kind.NODE, 9229)}
    unlisted = gather(WORKLOAD, chosen=chosen).services[0]
    assert unlisted.attach is not None and 'add "9229" to `ports:`' in unlisted.notes[0]
    pydevd = {"web": debuggers.Found(debuggers.Kind.PYDEVD, 5678)}
    assert 'reverse: ["5678"]' in gather(WORKLOAD, chosen=pydevd).services[0].notes[0]
    assert gather({**WORKLOAD, "reverse": ["5678"]}, chosen=pydevd).services[0].notes == ()
    with pytest.raises(errors.UsageError, match="no service 'wbe'"):
        gather(WORKLOAD, chosen={"wbe": debuggers.Found(debuggers.Kind.NODE, 1)})


def test_a_local_target_is_reached_and_found_where_it_lies() -> None:
    service = gather({"target": {"local": "./.devloop/web"}, "ports": ["7000:5678"]}).services[0]
    assert service.attach == Attach(debuggers.Kind.DEBUGPY, "127.0.0.1", 5678)
    assert service.folders == (Folder("/w/shop/web", "/w/shop/.devloop/web/app"),)


def test_followed_links_have_a_mapping_of_their_own() -> None:
    sync = {"from": ".", "to": "/app", "symlinks": "follow"}
    followed = {"/w/shop": [("lib", "/w/common")]}
    service = gather({**WORKLOAD, "sync": [sync, {"from": "/x", "to": "/y"}]}, followed=followed).services[0]
    assert service.folders == (Folder("/w/common", "/app/lib"), Folder("/w/shop", "/app"), Folder("/x", "/y"))
    assert service.main == Folder("/w/shop", "/app")
    kept = gather({**WORKLOAD, "sync": [{**sync, "symlinks": "keep"}]}, followed=followed).services[0]
    assert kept.folders == (Folder("/w/shop", "/app"),)
