from __future__ import annotations

import pytest

from devloop.argocd import forges

SHA = "a" * 40


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r/tree/main/envs/a"),
        ("git@github.com:o/r.git", "https://github.com/o/r/tree/main/envs/a"),
        ("https://me:token@github.example.com/o/r", "https://github.example.com/o/r/tree/main/envs/a"),
        ("https://gitlab.com/g/sub/r.git", "https://gitlab.com/g/sub/r/-/tree/main/envs/a"),
        ("ssh://git@gitlab.example.com:2222/g/r.git", "https://gitlab.example.com/g/r/-/tree/main/envs/a"),
        ("http://gitlab.example.com:8080/g/r", "http://gitlab.example.com:8080/g/r/-/tree/main/envs/a"),
        ("https://gitea.example.com/o/r", "https://gitea.example.com/o/r/src/branch/main/envs/a"),
        ("https://codeberg.org/o/r", "https://codeberg.org/o/r/src/branch/main/envs/a"),
        ("https://bitbucket.org/o/r", "https://bitbucket.org/o/r/src/main/envs/a"),
        (
            "https://bitbucket.example.com/scm/proj/r.git",
            "https://bitbucket.example.com/projects/proj/repos/r/browse/envs/a?at=main",
        ),
        ("ssh://git@stash.example.com/scm/~ann/r", "https://stash.example.com/users/ann/repos/r/browse/envs/a?at=main"),
        ("https://git.example.com/o/r.git", "https://git.example.com/o/r"),
    ],
)
def test_a_folder_at_a_branch(address: str, page: str) -> None:
    assert forges.at(address, "main", "envs/a") == page


@pytest.mark.parametrize(
    ("address", "revision", "path", "page"),
    [
        ("https://gitea.example.com/o/r", SHA, "a", f"https://gitea.example.com/o/r/src/commit/{SHA}/a"),
        ("https://gitea.example.com/o/r", "", "a", "https://gitea.example.com/o/r/src/a"),
        ("https://gitea.example.com/o/r", "HEAD", "", "https://gitea.example.com/o/r"),
        ("https://github.com/o/r", "", ".", "https://github.com/o/r/tree/HEAD"),
        ("https://github.com/o/r", "feature/x y", "a b", "https://github.com/o/r/tree/feature/x%20y/a%20b"),
        ("https://bitbucket.example.com/scm/p/r", "", "", "https://bitbucket.example.com/projects/p/repos/r/browse"),
    ],
)
def test_other_revisions_and_paths(address: str, revision: str, path: str, page: str) -> None:
    assert forges.at(address, revision, path) == page


@pytest.mark.parametrize(
    "address", ["", "file:///srv/r.git", "/srv/r.git", "oci://x.example/r", "https://", "https://[x"]
)
def test_what_is_on_no_web_server_has_no_page(address: str) -> None:
    assert forges.repository(address) is None
    assert forges.at(address, "main", "a") == ""


def test_logins_are_left_out() -> None:
    found = forges.repository("https://me:secret@github.com/o/r")
    assert found == forges.Repository(forges.Forge.GITHUB, "https://github.com/o/r")
