from __future__ import annotations

import click
import pytest

from devloop.cli import envoptions, options
from tests.unit.cli import run


@pytest.mark.parametrize(("arguments", "seen"), [([], "()"), (["a", "ns/b"], "('a', 'ns/b')")])
def test_applications_are_any_number_of_names(
    arguments: list[str], seen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command("test", cls=options.Verb)
    @envoptions.applications
    def command(applications: tuple[str, ...]) -> None:
        click.echo(str(applications))

    run.add_verb(monkeypatch, command)
    assert run.devloop(capsys, "test", *arguments).out == f"{seen}\n"
