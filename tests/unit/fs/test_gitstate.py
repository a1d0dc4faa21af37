"""Git is asked again only where its files changed."""

from pathlib import Path

import pytest

from devloop.fs import gitrepo, gitstate
from tests.unit.fs import gitbox


@pytest.fixture
def top(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    gitbox.isolate(monkeypatch, tmp_path / "home")
    return gitbox.repository(tmp_path / "r", {"a": "", "sub/b": ""})


def state(folder: str, top: Path) -> gitstate.GitState:
    git = gitrepo.find(str(top))
    assert isinstance(git, gitrepo.GitRepo)
    return gitstate.GitState(folder, git)


def test_the_index_is_relative_to_the_syncs_root(top: Path) -> None:
    assert state("", top).index.paths == {"a", "sub/b"}
    assert state("libs/x", top).index.paths == {"libs/x/a", "libs/x/sub/b"}


def test_an_unchanged_index_is_not_asked_for(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = state("", top)
    monkeypatch.setenv("PATH", "")
    assert subject.refresh_index() is None


def test_a_changed_index_gives_back_the_old_one(top: Path) -> None:
    subject = state("", top)
    gitbox.git(top, "rm", "-q", "--cached", "a")
    old = subject.refresh_index()
    assert old is not None and old.paths == {"a", "sub/b"}
    assert subject.index.paths == {"sub/b"}
    assert subject.refresh_index() is None


def test_a_changed_configuration_is_noticed(top: Path) -> None:
    subject = state("", top)
    assert not subject.config_changed()
    gitbox.git(top, "config", "--global", "core.ignorecase", "true")
    assert subject.config_changed()
