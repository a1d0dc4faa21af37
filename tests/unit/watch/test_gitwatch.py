"""What git is doing, against real repositories."""

import os
import pathlib
import subprocess

import pytest

from devloop.watch import gitwatch


def git(folder: pathlib.Path, *arguments: str) -> str:
    config = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = {f"GIT_{role}_{key}": f"{key}@x" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    run = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | config | who, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


@pytest.fixture
def repo(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "f").write_text("1")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    return root


def dirs(root: pathlib.Path) -> gitwatch.GitDirs:
    return gitwatch.GitDirs(
        git(root, "rev-parse", "--absolute-git-dir"),
        str((root / git(root, "rev-parse", "--git-common-dir")).resolve()),
    )


def test_head_follows_its_branch(repo: pathlib.Path) -> None:
    state = gitwatch.read_state(dirs(repo))
    assert state.head == git(repo, "rev-parse", "HEAD")
    assert state.ref == "refs/heads/main"
    assert not state.locked
    assert not state.rebasing


def test_head_of_a_packed_branch(repo: pathlib.Path) -> None:
    git(repo, "checkout", "-qb", "feature/x")
    git(repo, "pack-refs", "--all")
    assert not (repo / ".git/refs/heads/feature/x").exists()
    state = gitwatch.read_state(dirs(repo))
    assert state.head == git(repo, "rev-parse", "HEAD")
    assert f"{repo}/.git/refs/heads/feature" in gitwatch.folders(dirs(repo), state)


def test_a_detached_head(repo: pathlib.Path) -> None:
    git(repo, "checkout", "-q", "--detach")
    state = gitwatch.read_state(dirs(repo))
    assert (state.head, state.ref) == (git(repo, "rev-parse", "HEAD"), "")


def test_an_unborn_branch_has_no_commit(tmp_path: pathlib.Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    assert gitwatch.read_state(dirs(tmp_path)) == gitwatch.GitState(ref="refs/heads/main")


def test_a_linked_work_tree_has_its_own_head_and_index(repo: pathlib.Path) -> None:
    other = repo.with_name("other")
    git(repo, "worktree", "add", "-qb", "two", str(other))
    (other / "f").write_text("2")
    git(other, "commit", "-qam", "two")
    mine, its = gitwatch.read_state(dirs(repo)), gitwatch.read_state(dirs(other))
    assert its.head == git(other, "rev-parse", "HEAD") != mine.head
    assert its.index != mine.index
    assert dirs(repo).common_dir == dirs(other).common_dir


def test_lock_rebase_and_index_show(repo: pathlib.Path) -> None:
    before = gitwatch.read_state(dirs(repo))
    (repo / ".git/index.lock").touch()
    (repo / ".git/rebase-merge").mkdir()
    assert gitwatch.read_state(dirs(repo)) == gitwatch.GitState(before.head, True, True, before.index, before.ref)
    (repo / ".git/index.lock").rename(repo / ".git/index")
    assert gitwatch.read_state(dirs(repo)).index != before.index


@pytest.mark.parametrize("content", ["", "ref: refs/../../../etc/passwd", "ref: /etc/passwd", "ref: refs/heads/none"])
def test_a_damaged_head_is_no_commit(repo: pathlib.Path, content: str) -> None:
    (repo / ".git/HEAD").write_text(content)
    where = gitwatch.GitDirs(str(repo / ".git"), str(repo / ".git"))
    assert gitwatch.read_state(where).head == ""


def test_a_missing_folder_is_an_empty_state() -> None:
    assert gitwatch.read_state(gitwatch.GitDirs("/nonexistent", "/nonexistent")) == gitwatch.GitState()


def test_only_what_changes_the_state_concerns() -> None:
    where = gitwatch.GitDirs("/g", "/c")
    state = gitwatch.GitState(ref="refs/heads/a/b")
    told = [("/g", "HEAD"), ("/g", "index.lock"), ("/g", ""), ("/g/logs", "HEAD"), ("/c/refs/heads/a", "b")]
    untold = [("/g", "COMMIT_EDITMSG"), ("/g", "HEAD.lock"), ("/c/refs/heads/a", "c"), ("/c", "config")]
    assert all(gitwatch.concerns(where, state, *each) for each in told)
    assert not any(gitwatch.concerns(where, state, *each) for each in untold)
