from __future__ import annotations

import io
import itertools
from typing import Any

import click
import pytest

from devloop.cli import options
from tests.unit.cli import run


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[options.Settings]:
    found: list[options.Settings] = []

    @click.command("test", cls=options.Verb, formats=("text", "json"))
    @options.pass_settings
    def command(settings: options.Settings) -> None:
        found.append(settings)

    run.add_verb(monkeypatch, command)
    return found


Seen = list[options.Settings]

GIVEN: dict[str, tuple[list[str], Any]] = {
    "file": (["-f", "x.yaml"], "x.yaml"),
    "context": (["--context", "dev"], "dev"),
    "namespace": (["-n", "mine"], "mine"),
    "kubeconfig": (["--kubeconfig", "/k"], "/k"),
    "color": (["--color", "never"], "never"),
    "output": (["-o", "json"], "json"),
}


@pytest.mark.parametrize(("name", "before"), [*itertools.product(GIVEN, [True, False])])
def test_options_mean_the_same_before_and_after_the_verb(
    name: str, before: bool, seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    words, expected = GIVEN[name]
    assert run.devloop(capsys, *([*words, "test"] if before else ["test", *words])) == (0, "", "")
    assert seen == [options.Settings(**{name: expected})]


@pytest.mark.parametrize("name", GIVEN)
def test_every_option_has_a_variable(
    name: str, seen: Seen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"DEVLOOP_{name.upper()}", GIVEN[name][1])
    run.devloop(capsys, "test")
    assert seen == [options.Settings(**{name: GIVEN[name][1]})]


def test_after_the_verb_goes_before_before_it_and_the_line_before_variables(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEVLOOP_NAMESPACE", "variable")
    run.devloop(capsys, "-n", "before", "test", "-n", "after")
    run.devloop(capsys, "-n", "before", "test")
    run.devloop(capsys, "test")
    assert [settings.namespace for settings in seen] == ["after", "before", "variable"]


@pytest.mark.parametrize(
    ("words", "verbosity"),
    [
        (["test"], 0),
        (["test", "-v"], 1),
        (["-vv", "test"], 2),
        (["-v", "test", "-v"], 2),
        (["-q", "test"], -1),
        (["test", "-q"], -1),
    ],
)
def test_verbosity(words: list[str], verbosity: int, seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    run.devloop(capsys, *words)
    assert [settings.verbosity for settings in seen] == [verbosity]


def test_the_lines_verbosity_goes_before_the_variables(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEVLOOP_QUIET", "1")
    run.devloop(capsys, "test")
    run.devloop(capsys, "test", "-v")
    monkeypatch.delenv("DEVLOOP_QUIET")
    monkeypatch.setenv("DEVLOOP_VERBOSE", "2")
    run.devloop(capsys, "test")
    run.devloop(capsys, "test", "-v")
    run.devloop(capsys, "test", "-q")
    assert [settings.verbosity for settings in seen] == [-1, 1, 2, 1, -1]


def test_verbose_and_quiet_exclude_each_other(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, "-v", "test", "-q")
    assert (ended.status, seen) == (2, [])
    assert ended.err.startswith("error[DL0100]: -v and -q exclude each other\n")


def test_a_format_that_the_verb_lacks_is_refused_when_asked_for(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.devloop(capsys, "test", "-o", "name").status == 2
    ended = run.devloop(capsys, "-o", "name", "test")
    assert ended == (2, "", "error[DL0100]: devloop test has no output format name\nhint: it prints text, json\n")
    assert seen == []


def test_a_format_that_the_verb_lacks_is_only_a_wish_as_a_variable(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEVLOOP_OUTPUT", "name")
    run.devloop(capsys, "test")
    assert [settings.output for settings in seen] == ["text"]


def test_a_verb_without_a_result_has_no_format(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run.add_verb(monkeypatch, options.Verb("test", callback=lambda: None))
    assert run.devloop(capsys, "test").status == 0
    assert "it prints no result" in run.devloop(capsys, "-o", "json", "test").err


def test_a_verbs_own_short_option_goes_before_the_global_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []

    @click.command("test", cls=options.Verb)
    @click.option("-f", "--follow", is_flag=True)
    @click.argument("file")
    @options.pass_settings
    def command(settings: options.Settings, follow: bool, file: str) -> None:
        found.append((settings.file, follow, file))

    run.add_verb(monkeypatch, command)
    assert run.devloop(capsys, "test", "-f", "--file", "x.yaml", "own").status == 0
    assert found == [("x.yaml", True, "own")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "environ", "terminal", "on"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colours(
    choice: str, environ: dict[str, str], terminal: bool, on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert options.Settings(color=choice).color_on(Terminal() if terminal else io.StringIO()) is on
