"""What the verbs with commands share: the service, the terminal, the exit status."""

from __future__ import annotations

import click
import pytest

from devloop import errors
from devloop.cli import commanding, options
from devloop.cli import project as projects
from tests.unit.cli import laptop


def test_the_only_service_need_not_be_named() -> None:
    with open("devloop.yaml", "w") as file:
        file.write("".join(laptop.PROJECT.splitlines(keepends=True)[:4]))
    project = projects.loaded(options.Settings())
    assert commanding.service_of(project, "")[0] == commanding.service_of(project, "web")[0] == "web"
    with pytest.raises(errors.UsageError, match="no service 'wbe'"):
        commanding.service_of(project, "wbe")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotRunError("x", missing=True), 127),
        (errors.NotRunError("x"), 126),
    ],
)
def test_what_was_not_started_ends_as_in_a_shell(
    error: errors.NotRunError, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> int:
        raise error

    with click.Context(click.Command("x")):
        assert commanding.reported(run) == status
        assert commanding.reported(lambda: 42) == 42
    assert "error[DL0752]: x" in capsys.readouterr().err


def test_a_choice_goes_before_what_the_streams_are() -> None:
    assert commanding.wants_tty(True) and not commanding.wants_tty(False) and not commanding.wants_tty(None)
