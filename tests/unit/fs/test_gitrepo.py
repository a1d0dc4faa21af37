"""What git is asked, and what becomes of its answers."""

import os
from pathlib import Path

import pytest

from devloop.fs import gitrepo
from tests.unit.fs import gitbox


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gitbox.isolate(monkeypatch, tmp_path / "home")


def found(folder: Path) -> gitrepo.GitRepo:
    repo = gitrepo.find(str(folder))
    assert isinstance(repo, gitrepo.GitRepo), repo
    return repo


def missing(folder: Path) -> gitrepo.NoRepo:
    repo = gitrepo.find(str(folder))
    assert isinstance(repo, gitrepo.NoRepo)
    return repo


def test_a_repository_is_found_from_a_folder_below_its_top(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"web/src/a": "", "b": ""})
    repo = found(top / "web")
    assert (repo.top, repo.prefix) == (str(top), "web")
    assert repo.git_dir == repo.common_dir == str(top / ".git")
    assert found(top).prefix == ""


def test_a_symlink_to_a_folder_leads_to_the_repository_it_lies_in(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"web/a": ""})
    (tmp_path / "link").symlink_to(top / "web")
    assert found(tmp_path / "link").prefix == "web"


def test_a_folder_whose_name_holds_a_newline_is_found(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r\n", {"a": ""})
    assert found(top).top == str(top)
    assert found(top).tracked() == {"a"}


def test_outside_a_repository_there_is_a_reason(tmp_path: Path) -> None:
    assert missing(tmp_path).why is gitrepo.Why.NOT_A_REPOSITORY


def test_inside_the_git_folder_there_is_no_work_tree(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r")
    assert missing(top / ".git").why is gitrepo.Why.NOT_A_REPOSITORY


def test_without_git_on_the_path_the_reason_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = gitbox.repository(tmp_path / "r")
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = missing(top)
    assert reason.why is gitrepo.Why.NO_GIT
    assert reason.hint


def test_a_missing_folder_is_not_taken_for_a_missing_git(tmp_path: Path) -> None:
    assert missing(tmp_path / "none").why is gitrepo.Why.FAILED


def test_another_owner_is_a_reason_with_gits_own_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = gitbox.repository(tmp_path / "r")
    # git's own switch for testing this without a second user
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    reason = missing(top)
    assert reason.why is gitrepo.Why.OTHER_OWNER
    assert reason.hint == f"run: git config --global --add safe.directory {top}"


def test_a_git_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))
    monkeypatch.setattr(gitrepo, "GIT_TIMEOUT_S", 0.05)
    assert missing(tmp_path).why is gitrepo.Why.FAILED


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"])
def test_variables_of_another_repository_mislead_nobody(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = gitbox.repository(tmp_path / "r", {"a": ""})
    other = gitbox.repository(tmp_path / "other", {"b": ""})
    monkeypatch.setenv(variable, str(other / ".git"))
    assert found(top).tracked() == {"a"}


def test_tracked_paths_are_relative_to_the_folder(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"web/a": "", "web/x/b c": "", "web/ä\n": "", "other": ""})
    assert found(top / "web").tracked() == {"a", "x/b c", "ä\n"}


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r")
    name = os.fsdecode(b"caf\xe9")
    (top / name).write_text("")
    gitbox.git(top, "add", "-A")
    gitbox.git(top, "commit", "-qm", "more")
    assert found(top).tracked() == found(top).head_paths() == {name}


def test_the_index_and_the_last_commit_are_told_apart(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"a": "", "b": ""})
    gitbox.git(top, "rm", "-q", "--cached", "a")
    gitbox.write(top, {"c": ""})
    gitbox.git(top, "add", "c")
    repo = found(top)
    assert repo.tracked() == {"b", "c"}
    assert repo.head_paths() == {"a", "b"}


def test_before_the_first_commit_there_is_no_head(tmp_path: Path) -> None:
    gitbox.git(tmp_path, "init", "-q")
    repo = found(tmp_path)
    assert repo.head_commit() is None
    assert repo.head_paths() == frozenset()
    assert repo.tracked() == frozenset()
    assert repo.index_signature() is None


def test_an_unreadable_index_is_an_error_and_not_empty(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"a": ""})
    (top / ".git" / "index").write_bytes(b"no index")
    with pytest.raises(gitrepo.GitError, match="ls-files"):
        found(top).tracked()


def test_an_unreadable_head_is_an_error_and_not_empty(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"a": ""})
    repo = found(top)
    (top / ".git" / "HEAD").unlink()
    with pytest.raises(gitrepo.GitError):
        repo.head_paths()


def test_deletions_between_commits_count_renames_and_stay_below_the_folder(tmp_path: Path) -> None:
    top = gitbox.repository(
        tmp_path / "r", {"web/gone": "1\n2\n3\n", "web/old": "4\n5\n6\n", "web/kept": "", "out": ""}
    )
    repo = found(top / "web")
    before = repo.head_commit()
    gitbox.git(top, "mv", "web/old", "web/new")
    gitbox.git(top, "rm", "-q", "web/gone", "out")
    gitbox.git(top, "commit", "-qm", "second")
    after = repo.head_commit()
    assert before is not None and after is not None
    assert repo.deleted_between(before, after) == {"gone", "old"}
    assert repo.deleted_between(after, before) == {"new"}


@pytest.mark.parametrize("commit", ["HEAD", "--output=x", "0" * 40, ""])
def test_only_commits_are_compared(commit: str, tmp_path: Path) -> None:
    repo = found(gitbox.repository(tmp_path / "r", {"a": ""}))
    head = repo.head_commit()
    assert head is not None
    for pair in ((commit, head), (head, commit)):
        with pytest.raises(gitrepo.GitError):
            repo.deleted_between(*pair)


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
def test_a_branch_without_a_commit_deletes_what_the_old_one_had_below_the_folder(kind: str, tmp_path: Path) -> None:
    top = tmp_path / "r"
    top.mkdir()
    gitbox.git(top, "init", "-q", "-b", "main", f"--object-format={kind}")
    gitbox.repository(top, {"web/a": "", "web/b/c": "", "out": ""})
    repo = found(top / "web")
    old = repo.head_commit()
    assert old is not None
    gitbox.write(top, {"web/untracked": ""})
    gitbox.git(top, "switch", "-q", "--orphan", "new")
    assert repo.deleted_between(old, "") == {"a", "b/c"}


def test_a_branch_without_a_commit_deletes_nothing_that_the_index_still_lists(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"a": "", "b": ""})
    repo = found(top)
    old = repo.head_commit()
    assert old is not None
    gitbox.git(top, "checkout", "-q", "--orphan", "new")
    gitbox.git(top, "rm", "-q", "-f", "b")
    (top / "a").unlink()
    assert repo.deleted_between(old, "") == {"b"}


def with_submodule(folder: Path) -> Path:
    """Return a repository with the branches `without` a submodule, `main` with two files in it, and `less` with one."""
    gitbox.repository(folder / "inner", {"x": "", "d/y": ""})
    top = gitbox.repository(folder / "r", {"web/a": ""})
    gitbox.git(top, "branch", "without")
    gitbox.git(top, "submodule", "add", "-q", "--name", "called", "../inner", "web/sub")
    gitbox.git(top, "commit", "-qm", "sub")
    gitbox.git(top, "switch", "-qc", "less")
    gitbox.git(top / "web/sub", "rm", "-q", "d/y")
    gitbox.git(top / "web/sub", "commit", "-qm", "less")
    gitbox.git(top, "commit", "-qam", "less")
    gitbox.git(top, "switch", "-q", "--recurse-submodules", "main")
    return top


@pytest.mark.parametrize(("branch", "deleted"), [("less", {"sub/d/y"}), ("without", {"sub/x", "sub/d/y"})])
def test_what_git_deletes_inside_a_submodule_on_its_way_counts(branch: str, deleted: set[str], tmp_path: Path) -> None:
    repo = found(with_submodule(tmp_path) / "web")
    old = repo.head_commit()
    gitbox.git(tmp_path / "r", "switch", "-q", "--recurse-submodules", branch)
    new = repo.head_commit()
    assert old is not None and new is not None
    assert repo.deleted_between(old, new) == deleted
    assert repo.deleted_between(new, old) == frozenset()


@pytest.mark.parametrize("branch", ["less", "without"])
def test_a_submodule_that_git_left_as_it_is_vouches_for_nothing(branch: str, tmp_path: Path) -> None:
    repo = found(with_submodule(tmp_path) / "web")
    old = repo.head_commit()
    gitbox.git(tmp_path / "r", "switch", "-q", branch)
    new = repo.head_commit()
    assert old is not None and new is not None
    (tmp_path / "r/web/sub/d/y").unlink()
    assert repo.deleted_between(old, new) == frozenset()


@pytest.mark.parametrize(
    ("deleted", "gone", "vouched"),
    [
        ("d/e/f kept", "d/e/f d/e d", "d/e/f d/e d"),
        ("d/f", "d/f d x", "d/f d"),
        ("d/f", "d/f", "d/f"),
        ("d/e/f", "d d/e d/e/f d/mine", "d/e/f d/e"),
        ("d/f", "d d/f d/empty", "d/f"),
        ("", "d d/f", ""),
    ],
)
def test_a_folder_goes_with_what_git_deleted_in_it_and_with_nothing_else(deleted: str, gone: str, vouched: str) -> None:
    assert gitrepo.vouched(frozenset(deleted.split()), frozenset(gone.split())) == set(vouched.split())


def test_a_repository_that_was_removed_vouches_for_nothing(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"a": ""})
    repo = found(top)
    old = repo.head_commit()
    assert old is not None
    (top / ".git" / "HEAD").unlink()
    with pytest.raises(gitrepo.GitError):
        repo.deleted_between(old, "")


def test_a_worktree_has_its_own_index_and_shares_info_exclude(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"a": ""})
    gitbox.git(top, "worktree", "add", "-q", "-b", "side", "../side")
    gitbox.write(tmp_path / "side", {"b": ""})
    gitbox.git(tmp_path / "side", "add", "b")
    repo = found(tmp_path / "side")
    assert repo.tracked() == {"a", "b"}
    assert found(top).tracked() == {"a"}
    assert repo.info_exclude == str(top / ".git" / "info" / "exclude")
    assert repo.index_file == str(top / ".git" / "worktrees" / "side" / "index")


def test_a_submodules_paths_are_listed_with_its_folder_in_front(tmp_path: Path) -> None:
    gitbox.repository(tmp_path / "inner", {"x": "", "d/y": ""})
    top = gitbox.repository(tmp_path / "r", {"a": ""})
    gitbox.git(top, "submodule", "add", "-q", "../inner", "lib/sub")
    gitbox.git(top, "commit", "-qm", "sub")
    repo = found(top)
    assert repo.tracked() == repo.head_paths() == {".gitmodules", "a", "lib/sub/x", "lib/sub/d/y"}
    assert repo.index().submodules == {"lib/sub"}
    assert found(top / "lib").tracked() == {"sub/x", "sub/d/y"}
    assert found(top / "lib" / "sub" / "d").prefix == "d"


def test_a_submodule_that_is_not_checked_out_has_no_paths(tmp_path: Path) -> None:
    gitbox.repository(tmp_path / "inner", {"x": ""})
    top = gitbox.repository(tmp_path / "r", {"a": ""})
    gitbox.git(top, "submodule", "add", "-q", "../inner", "sub")
    gitbox.git(top, "submodule", "deinit", "-q", "-f", "sub")
    assert found(top).tracked() == {".gitmodules", "a"}


def test_the_global_ignore_file_is_where_git_looks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = gitbox.repository(tmp_path / "r")
    repo = found(top)
    assert repo.excludes_file() == str(tmp_path / "home" / ".config" / "git" / "ignore")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert repo.excludes_file() == str(tmp_path / "xdg" / "git" / "ignore")
    gitbox.git(top, "config", "core.excludesFile", "~/mine")
    assert repo.excludes_file() == str(tmp_path / "home" / "mine")
    gitbox.git(top, "config", "core.excludesFile", "")
    assert repo.excludes_file() is None


def test_ignorecase_is_gits(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r")
    gitbox.git(top, "config", "core.ignorecase", "yes")
    assert found(top).ignorecase()
    gitbox.git(top, "config", "--unset", "core.ignorecase")
    assert not found(top).ignorecase()


def test_a_broken_configuration_is_an_error(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r")
    repo = found(top)
    gitbox.git(top, "config", "core.ignorecase", "perhaps")
    with pytest.raises(gitrepo.GitError, match="config"):
        repo.ignorecase()


def test_a_path_in_conflict_is_tracked(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"a": "1"})
    gitbox.git(top, "checkout", "-qb", "side")
    gitbox.write(top, {"a": "2"})
    gitbox.git(top, "commit", "-qam", "side")
    gitbox.git(top, "checkout", "-q", "main")
    gitbox.write(top, {"a": "3"})
    gitbox.git(top, "commit", "-qam", "main")
    with pytest.raises(Exception, match="merge"):
        gitbox.git(top, "merge", "side")
    assert found(top).tracked() == {"a"}


def test_the_index_signature_changes_with_the_index_only(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {"a": ""})
    repo = found(top)
    before = repo.index_signature()
    gitbox.write(top, {"b": ""})
    assert repo.index_signature() == before
    gitbox.git(top, "add", "b")
    assert repo.index_signature() != before


def test_the_version_decides_how_two_stars_behind_a_name_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, (version, old) in enumerate({"2.39.5": True, "2.52.0": False, "3.1.0 (Apple Git-200)": False}.items()):
        fake = tmp_path / str(number) / "git"
        fake.parent.mkdir()
        fake.write_text(f"#!/bin/sh\necho git version '{version}'\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", str(fake.parent))
        assert gitrepo.globstar_after_prefix() is old
