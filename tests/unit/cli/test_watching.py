"""The three ways to watch, on a real local target."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from devloop.cli import main, options, watching
from devloop.config import load
from devloop.daemon import app, client
from devloop.state import dirs
from devloop.sync import events
from tests.unit.cli import clusters, watched
from tests.unit.cli.run import devloop


def make_project() -> None:
    Path("devloop.yaml").write_text(watched.TEXT)
    Path("web").mkdir()
    Path("web/a.txt").write_text("content")


def test_once_syncs_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    make_project()
    ended = devloop(capsys, "watch", "--once")
    assert ended.status == 0
    assert Path("t/app/a.txt").read_text() == "content"
    assert "devloop: sync complete" in ended.out and "devloop: ready" in ended.out
    assert devloop(capsys, "watch", "--once").status == 0


def test_once_as_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    make_project()
    assert main.run(["watch", "--once", "-o", "json"], options.Chosen()) == 0
    said = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert said[0]["event"] == "project_started"
    assert {"sync_complete", "ready"} <= {event["event"] for event in said}


def test_a_service_that_cannot_start_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    make_project()
    Path("t").mkdir()
    Path("t/precious").write_text("precious")
    ended = devloop(capsys, "watch", "--once")
    assert ended.status != 0
    assert "is not empty" in ended.err + ended.out
    assert Path("t/precious").read_text() == "precious"


def test_in_the_background_and_joined_and_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    make_project()
    started = devloop(capsys, "watch", "--detach")
    try:
        assert started.status == 0 and "watching in the background" in started.err
        assert Path("t/app/a.txt").read_text() == "content"
        log = Path(dirs.project(os.getcwd()).logs) / "watch.log"
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        places = dirs.project(os.getcwd())
        assert stat.S_IMODE(os.stat(places.socket).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(places.runtime).st_mode) == 0o700
        Path("web/b.txt").write_text("more")
        joined = devloop(capsys, "watch", "--once")
        assert joined.status == 0
        assert Path("t/app/b.txt").read_text() == "more"
        assert devloop(capsys, "status").status == 0
    finally:
        assert devloop(capsys, "stop").status == 0
    assert not client.Client(dirs.project(os.getcwd()).socket).alive()


def test_a_background_watch_that_fails_shows_its_last_words(capsys: pytest.CaptureFixture[str]) -> None:
    make_project()
    Path("t").mkdir()
    Path("t/precious").write_text("precious")
    ended = devloop(capsys, "watch", "--detach")
    assert ended.status != 0
    assert "is not empty" in ended.err


def test_a_background_watch_is_asked_for_the_same() -> None:
    make_project()
    project = load.load(str(Path("devloop.yaml").resolve()))
    settings = options.Settings(context="dev", namespace="mine")
    asked = watching.Asked(("web",), once=False, takeover=True, plain=False, rung=app.Way.PATCH, agent_image="mine:1")
    words = watching._background(settings, project, asked)
    assert words[words.index("watch") :] == [
        *("watch", "--plain", "--file", project.file, "web", "--takeover", "--patch", "--agent-image", "mine:1"),
        *("--context", "dev", "-n", "mine"),
    ]
    alone = watching.Asked((), once=False, takeover=False, plain=False, rung=app.Way.DECLARED)
    assert watching._background(options.Settings(), project, alone)[-1] == "--no-attach"
    plain = watching._background(options.Settings(), project, watching.Asked((), False, False, False))
    assert plain[plain.index("watch") :] == ["watch", "--plain", "--file", project.file]


def test_the_logs_of_a_watch_are_read_by_the_same_devloop() -> None:
    Path("devloop.yaml").write_text(clusters.PROJECT)
    for folder in ("src", "a"):
        Path(folder).mkdir()
    project = load.load(str(Path("devloop.yaml").resolve()))
    settings = options.Settings(context="dev", namespace="mine")
    asked = watching.Asked((), once=False, takeover=False, plain=False, logs=True)
    words = watching._log_reader(settings, project, asked)
    assert words[words.index("logs") :] == [
        *("logs", "--follow", "--leashed", "--tail", "0", "-o", "json", "--file", project.file),
        *("--context", "dev", "--namespace", "mine", "web", "labels"),
    ]
    assert "--logs" in watching._background(settings, project, asked)
    here = watching.Asked(("here",), once=False, takeover=False, plain=False, logs=True)
    assert watching._log_reader(settings, project, here) == []


def test_joining_says_that_the_way_in_is_decided_already(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.publish(events.Ready(ms=12.0))
        ended = devloop(capsys, "watch", "--attach")
    assert "how the agent gets in was decided by the watch that runs, not by --attach" in ended.err


def test_following_another_ends_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.publish(events.Ready(ms=12.0))
        ended = devloop(capsys, "watch")
    assert ended.status == 0
    assert "joining" in ended.err and "devloop: ready" in ended.out


def test_a_log_that_is_not_utf_8_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d\n" % index for index in range(50)) + b"caf\xe9\n")
    watching._show_log(options.Settings(), str(log))
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 20 and told[-1] == "caf\\xe9"
