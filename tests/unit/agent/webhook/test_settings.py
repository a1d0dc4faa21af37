from __future__ import annotations

import pytest

from agent.webhook import settings

NEEDED = ["--agent-image=a:1", "--namespace=ns", "--service=s", "--secret=t", "--configuration=c"]


def test_what_the_chart_says() -> None:
    told = settings.parse([*NEEDED, "--silence=60", "--sweep=5", "--tls-dir=/tls", "--port=9443"])
    assert (told.agent_image, told.place.names()[0], told.place.secret) == ("a:1", "s.ns.svc", "t")
    assert (told.silence_s, told.sweep_s, told.tls_dir, told.port) == (60.0, 5.0, "/tls", 9443)


def test_what_agents_may_dial_is_checked_here_and_not_by_agents_that_do_not_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert settings.parse(NEEDED).allow_dial == ()
    told = settings.parse([*NEEDED, '--allow-dial=["*.other", "10.0.0.0/8:5432"]'])
    assert told.allow_dial == ("*.other", "10.0.0.0/8:5432")
    for wrong in ('["db:0"]', "*.other", "[1]", "{}"):
        with pytest.raises(SystemExit):
            settings.parse([*NEEDED, f"--allow-dial={wrong}"])
        assert "--allow-dial" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--silence=0"], ["--sweep=x"], ["--silence=1e9"], ["--nonsense"]])
def test_a_wrong_command_line_ends_at_once(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings.parse([*NEEDED, *wrong])
    assert ended.value.code == 2 and wrong[0].split("=")[0] in capsys.readouterr().err


def test_nothing_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.parse([])
    assert "--agent-image" in capsys.readouterr().err


def test_where_patches_are_restored() -> None:
    assert settings.parse(NEEDED).restore_in == ()
    assert settings.parse([*NEEDED, "--restore-in=dev-ann,dev-bob,,dev-ann"]).restore_in == ("dev-ann", "dev-bob")
