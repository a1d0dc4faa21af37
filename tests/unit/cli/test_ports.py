"""`devloop ports`: the table, adding and removing, and what is declared where nobody watches."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from devloop import errors
from devloop.sync import status
from tests.unit.cli import watched
from tests.unit.cli.run import devloop


def row(state: str = "listening") -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(
        status.ForwardStatus("ports", "web", "localhost:8000", "pod port 80", state)
    )
    return found


def test_the_table_in_its_forms(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["ports"] = [row()]
        ended = devloop(capsys, "ports")
        assert ended.status == 0 and "localhost:8000" in ended.out and "listening" in ended.out
        assert json.loads(devloop(capsys, "ports", "-o", "json").out) == [row()]
        assert devloop(capsys, "ports", "-o", "name").out == "localhost:8000\n"
        project.answers["ports"] = [row("failed")]
        assert devloop(capsys, "ports").status == 3


def test_ports_are_added_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["ports-add"] = [row()]
        project.answers["ports-rm"] = [{"local": "localhost:8000", "to": "pod port 80"}]
        ended = devloop(capsys, "ports", "add", "8000:80", "--service", "web")
        assert (ended.status, ended.out) == (0, "localhost:8000 -> pod port 80\n")
        ended = devloop(capsys, "ports", "rm", "8000")
        assert (ended.status, ended.out) == (0, "no longer forwarded: localhost:8000 -> pod port 80\n")
    assert project.asked == [
        ("ports-add", {"ports": ["8000:80"], "service": "web"}),
        ("ports-rm", {"ports": ["8000"]}),
    ]


def test_what_is_wrong_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        assert devloop(capsys, "ports", "add").status == 2
        project.answers["ports-add"] = errors.UsageError("'53/udp' is UDP", hint="only TCP")
        ended = devloop(capsys, "ports", "add", "53/udp")
    assert ended.status == 2 and "UDP" in ended.err


def test_without_a_watch_it_says_what_is_declared_and_that_nobody_carries_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with watched.watched():
        pass
    ended = devloop(capsys, "ports")
    assert ended.status == 1 and "not watching" in ended.err
    service = "target: {local: ./t}, sync: [{from: ./web, to: /app}]"
    Path("devloop.yaml").write_text(
        f"version: 1\nservices: {{web: {{{service}, ports: ['8000-8010:80'], reverse: ['9003']}}}}\n"
        "forwards: [db:5432]\n"
    )
    ended = devloop(capsys, "ports")
    assert ended.status == 1 and "nobody carries these" in ended.err and "devloop watch" in ended.err
    assert ended.out.count("not carried") == 3 and "localhost:8000-8010" in ended.out
    rows = json.loads(devloop(capsys, "ports", "-o", "json").out)
    assert [(each["kind"], each["to"]) for each in rows] == [
        ("ports", "pod port 80"),
        ("reverse", "pod port 9003"),
        ("forwards", "db:5432"),
    ]
