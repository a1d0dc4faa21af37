"""The public JSON form of `devloop status`."""

from __future__ import annotations

import json

import msgspec

from devloop.sync import events, status


def test_the_json_form_is_stable() -> None:
    row = events.ProblemRow("a", "io", "broken", "pod")
    service = status.ServiceStatus(
        name="web",
        state="in sync",
        targets=(status.TargetStatus("pod/web-1", True, True),),
        syncs=(status.SyncStatus("web", "/app", 3, 10, "00" * 32, "inotify, 2 folders"),),
        app=status.AppStatus("running", 42, 1),
        held=0,
        pending=0,
        problems=(row,),
        problem_count=1,
        saves=2,
        save_p50_ms=1.5,
        save_p95_ms=2.5,
    )
    whole = status.ProjectStatus("shop", "/p", 7, "0.1.0", 1.0, False, (service,))
    said = json.loads(msgspec.json.encode(whole))
    assert said["v"] == status.VERSION == 1
    assert set(said) == {"project", "folder", "pid", "version", "started", "paused", "services", "v", "forwards"}
    (web,) = said["services"]
    assert web["syncs"][0]["from"] == "web"
    assert "source" not in web["syncs"][0]
    assert web["targets"][0] == {
        "name": "pod/web-1",
        "up": True,
        "synced": True,
        "detail": "",
        "drift": 0,
        "extra": 0,
        "protected": 0,
        "rtt_ms": 0.0,
        "uid": -1,
        "state": "",
    }
    assert web["app"] == {"phase": "running", "pid": 42, "starts": 1, "detail": ""}
    assert msgspec.convert(said, status.ProjectStatus) == whole


def test_a_row_of_a_diff() -> None:
    row = status.DiffRow("web", "pod/web-1", "/app", "a", "extra")
    assert msgspec.to_builtins(row) == {
        "service": "web",
        "target": "pod/web-1",
        "to": "/app",
        "path": "a",
        "what": "extra",
        "detail": "",
    }


def test_a_row_of_the_forwards() -> None:
    row = status.ForwardStatus("ports", "web", "localhost:8000", "pod port 80", "listening")
    assert msgspec.to_builtins(row) == {
        "kind": "ports",
        "service": "web",
        "local": "localhost:8000",
        "to": "pod port 80",
        "state": "listening",
        "by": "",
        "target": "",
        "open": 0,
        "held": 0,
        "total": 0,
        "sent_bytes": 0,
        "received_bytes": 0,
        "error": "",
        "code": "",
        "added": False,
    }
