from __future__ import annotations

from pathlib import Path

import click
import pytest

from devloop import errors
from devloop.cli import options, project

TEXT = "version: 1\nname: shop\nservices:\n" + "".join(
    f"  {name}: {{workload: pod/{name}, sync: [{{from: ., to: /app}}]}}\n" for name in ("web", "worker", "api")
)


@pytest.fixture(autouse=True)
def _project() -> None:
    Path("devloop.yaml").write_text(TEXT)


def test_the_project_of_the_current_folder_is_loaded() -> None:
    loaded = project.loaded(options.Settings())
    assert (loaded.config.name, loaded.shown) == ("shop", "devloop.yaml")


def test_services_are_checked_and_all_by_default() -> None:
    loaded = project.loaded(options.Settings())
    assert project.check_services(loaded, ()) == ("web", "worker", "api")
    assert project.check_services(loaded, ("api",)) == ("api",)
    with pytest.raises(errors.UsageError, match="shop has no service 'wep'") as caught:
        project.check_services(loaded, ("wep",))
    assert caught.value.hint == "did you mean web?"


def complete(incomplete: str) -> list[str]:
    ctx = click.Context(click.Command("x"), obj=options.Chosen())
    return project.complete_services(ctx, click.Argument(["service"]), incomplete)


def test_services_are_completed() -> None:
    assert complete("w") == ["web", "worker"]


def test_a_broken_file_completes_nothing_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("devloop.yaml").write_text("version: [")
    assert complete("w") == []
    assert capsys.readouterr() == ("", "")


def test_a_current_folder_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(errors.LocalError, match="the current folder cannot be used: No such file or directory"):
        project.find(options.Settings())
    monkeypatch.chdir(tmp_path)
