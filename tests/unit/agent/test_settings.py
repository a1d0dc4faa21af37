"""The agent's command line."""

from __future__ import annotations

import json

import pytest

from agent import roots, settings
from devloop import errors

ROOT = {"to": "/app", "data": "/v/data", "stage": "/v/stage", "state": "/v/state"}


def parse(*more: str, listed: object = (ROOT,)) -> settings.Settings:
    return settings.from_arguments(settings.parse(["serve", "--roots", json.dumps(listed), "--state", "/s", *more]))


def test_a_socket_and_all_there_is_to_say() -> None:
    told = parse("--socket", "/run/s", "--target", "/t", "--lifeline")
    assert told == settings.Settings((roots.parse_specs(json.dumps([ROOT]))[0],), "/s", "/run/s", 0, "/t", True)


def test_a_port() -> None:
    told = parse("--port", "8001")
    assert (told.port, told.socket, told.lifeline, told.target) == (8001, "", False, "")


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["serve"],
        ["serve", "--roots", "[]", "--state", "/s"],
        ["serve", "--roots", "[]", "--state", "/s", "--socket", "/x", "--port", "1"],
        ["serve", "--roots", "[]", "--state", "/s", "--port", "x"],
        ["serve", "--roots", "[]", "--state", "/s", "--port", "0"],
        ["serve", "--roots", "[]", "--state", "/s", "--port", "65536"],
        ["key"],
        ["dance"],
    ],
)
def test_a_wrong_command_line_ends_with_status_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        settings.parse(wrong)
    assert caught.value.code == 2
    assert "usage: agent" in capsys.readouterr().err


@pytest.mark.parametrize("listed", [[], {}, [{"to": "/app"}], [{**ROOT, "data": "/etc"}], [{**ROOT, "data": "x"}]])
def test_wrong_roots_are_refused(listed: object) -> None:
    with pytest.raises(errors.AgentError):
        parse("--port", "1", listed=listed)


def test_the_key_needs_only_the_state() -> None:
    assert settings.parse(["key", "--state", "/s"]).state == "/s"


def test_a_launcher() -> None:
    assert parse("--port", "7460").launcher == ""
    assert parse("--port", "7460", "--launcher", "/devloop/run").launcher == "/devloop/run"


def test_tools_need_a_folder() -> None:
    told = settings.parse(["tools", "/devloop/tools", "--busybox", "/b"])
    assert (told.folder, told.busybox) == ("/devloop/tools", "/b")
    with pytest.raises(SystemExit):
        settings.parse(["tools"])


def test_what_may_be_dialled_is_said_once_for_each() -> None:
    told = parse("--port", "1", "--allow-dial", "*.other", "--allow-dial", "10.0.0.0/8:5432")
    assert [(each.name, each.network, each.port) for each in told.allow_dial] == [
        ("*.other", "", 0), ("", "10.0.0.0/8", 5432),
    ]  # fmt: skip
    with pytest.raises(errors.AgentError, match="neither a name nor a network") as caught:
        parse("--port", "1", "--allow-dial", "db:0")
    assert caught.value.error_code == "DL0608"
