from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from devloop import errors
from devloop.cli import errors as cli_errors
from devloop.cli import options
from tests.unit.cli import run


def told(error: BaseException, capsys: pytest.CaptureFixture[str], **values: object) -> run.Ended:
    chosen = options.Chosen()
    chosen.values.update(values)
    status = cli_errors.report(error, chosen)
    captured = capsys.readouterr()
    return run.Ended(status, captured.out, captured.err)


def test_an_error_is_what_happened_and_how_to_fix_it(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.OwnedError("web is held", hint="ask ann", owner="ann")
    assert told(error, capsys) == (7, "", "error[DL0400]: web is held\nhint: ask ann\n")
    assert told(errors.AuthError("no key"), capsys) == (4, "", "error[DL0510]: no key\n")


def test_config_errors_are_told_as_compilers_do(capsys: pytest.CaptureFixture[str]) -> None:
    first = errors.ConfigError("bad", hint="mend", code="DL0204", file="devloop.yaml", line=3, column=5)
    second = errors.ConfigError("worse", file="devloop.local.yaml")
    one = "devloop.yaml:3:5: error: bad [DL0204]\nhint: mend\n"
    assert told(first, capsys) == (2, "", one)
    both = one + "devloop.local.yaml:1:1: error: worse [DL0200]\n"
    assert told(errors.ConfigErrors([first, second]), capsys) == (2, "", both)


def test_a_config_error_without_a_file_is_told_as_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(errors.ConfigError("none", code="DL0201"), capsys).err == "error[DL0201]: none\n"


def test_a_message_from_elsewhere_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    ended = told(errors.AgentError("said \x1b]0;x\x07", hint="\x1b[2J"), capsys, color="always")
    assert "\x1b]" not in ended.err
    assert "\x1b[2J" not in ended.err


def test_colours_are_only_where_they_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.UsageError("x", hint="y")
    assert told(error, capsys, color="always").err == "\033[1;31merror[DL0100]:\033[0m x\n\033[36mhint:\033[0m y\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_130_and_quiet(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(error, capsys) == (130, "", "")


def test_a_bug_is_one_line_and_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = told(ZeroDivisionError("oops"), capsys)
    (file,) = (tmp_path / "state/crashes").iterdir()
    assert ended == (
        1,
        "",
        (
            "error[DL0999]: this is a bug in devloop: ZeroDivisionError: oops\n"
            f"hint: the traceback is in {file}; please report it\n"
        ),
    )
    assert "ZeroDivisionError: oops" in file.read_text()
    assert file.read_text().startswith("devloop ")


def test_a_bug_shows_its_traceback_to_those_who_ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command("test", cls=options.Verb)
    def command() -> None:
        raise ZeroDivisionError("oops")

    run.add_verb(monkeypatch, command)
    assert "Traceback" not in run.devloop(capsys, "test").err
    assert "Traceback" in run.devloop(capsys, "test", "-vv").err


def test_a_bug_is_told_even_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEVLOOP_STATE_DIR", str(tmp_path / "file"))
    ended = told(ZeroDivisionError("oops"), capsys)
    assert ended.err.endswith("hint: run again with -vv to see the traceback\n")


def test_a_bug_is_told_even_where_the_installation_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DEVLOOP_STATE_DIR")
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    ended = told(ModuleNotFoundError("No module named 'yaml'"), capsys)
    assert ended.err.startswith(
        "error[DL0999]: this is a bug in devloop: ModuleNotFoundError: No module named 'yaml'\n"
    )


def test_what_ends_a_task_group_is_told_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    group = BaseExceptionGroup("tasks", [errors.LinkError("cut"), errors.SkewError("old")])
    assert told(group, capsys) == (6, "", "error[DL0500]: cut\nerror[DL0520]: old\n")


def test_a_bug_among_the_tasks_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    group = BaseExceptionGroup("tasks", [errors.LinkError("cut"), ZeroDivisionError("oops")])
    ended = told(group, capsys)
    assert ended.status == 1
    assert ended.err.startswith("error[DL0999]")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["explain", "--zzz"], "there is no option --zzz", "see `devloop explain --help`"),
        (["explain", "--fille"], "there is no option --fille", "did you mean --file?"),
        (["explain", "a", "b"], "got unexpected extra argument (b)", "see `devloop explain --help`"),
        (["-f"], "option '-f' requires an argument", "see `devloop --help`"),
        (
            ["--color", "blue"],
            "invalid value for '--color': 'blue' is not one of 'auto', 'always', 'never'",
            "see `dev",
        ),
    ],
)
def test_clicks_complaints_are_told_in_our_form(
    arguments: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run.devloop(capsys, *arguments)
    assert ended.status == 2
    assert ended.err.startswith(f"error[DL0100]: {message}\nhint: {hint}")
