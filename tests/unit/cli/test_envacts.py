"""What the verbs that change something have in common."""

from __future__ import annotations

import click
import pytest

from devloop import errors
from devloop.argocd import application, waiting
from devloop.cli import envacts, options
from tests.unit.argocd import samples


def test_durations() -> None:
    kind = envacts.Duration()
    assert kind.convert("1h30m", None, None) == 5400
    for text in ("soon", "5", ""):
        with pytest.raises(click.BadParameter):
            kind.convert(text, None, None)


def test_progress_tells_each_state_once(capsys: pytest.CaptureFixture[str]) -> None:
    tell = envacts.Progress(options.Settings())
    one = application.read(samples.raw())
    missing = waiting.Verdict(waiting.State.WAITING, "it is \x1b[31mOutOfSync")
    for found in (missing, missing, waiting.Verdict(waiting.State.DONE)):
        tell(one, found)
    # what comes from the cluster cannot steer the terminal
    assert capsys.readouterr().err == "argocd/shop: it is \\x1b[31mOutOfSync\nargocd/shop: Synced, Healthy\n"


def test_nobody_is_asked_where_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    envacts.confirmed("end it?", yes=True)
    with pytest.raises(errors.UsageError, match="end it"):
        envacts.confirmed("end it?", yes=False)
    assert envacts.agreed("end it?", yes=True) is True
    assert envacts.agreed("end it?", yes=False) is None
