"""Pages and commands that open a pull request, by the forms of each forge."""

from __future__ import annotations

import pytest

from devloop.argocd import pullrequest
from devloop.argocd.pullrequest import Proposal

PLAIN = "title=Add%20it%20%26%20more"


def proposal(upstream: str, fork: str = "", **more: object) -> Proposal:
    said = {"branch": "feature/x", "base": "main", "title": "Add it & more", **more}
    return Proposal(upstream, fork or upstream, **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("upstream", "fork", "page"),
    [
        (
            "https://github.com/team/tpl.git",
            "",
            f"https://github.com/team/tpl/compare/main...feature/x?expand=1&{PLAIN}",
        ),
        (
            "git@github.com:team/tpl.git",
            "git@github.com:ann/tpl.git",
            f"https://github.com/team/tpl/compare/main...ann:feature/x?expand=1&{PLAIN}",
        ),
        (
            "https://github.com/team/tpl",
            "https://ann:secret@github.com/ann/their-tpl",
            f"https://github.com/team/tpl/compare/main...ann:their-tpl:feature/x?expand=1&{PLAIN}",
        ),
        (
            "https://gitlab.example.com/a/b/tpl.git",
            "git@gitlab.example.com:ann/tpl.git",
            (
                "https://gitlab.example.com/ann/tpl/-/merge_requests/new?merge_request%5Bsource_branch%5D=feature%2Fx"
                "&merge_request%5Btarget_branch%5D=main&merge_request%5Btitle%5D=Add%20it%20%26%20more"
            ),
        ),
        (
            "https://codeberg.org/team/tpl.git",
            "https://codeberg.org/ann/tpl.git",
            "https://codeberg.org/team/tpl/compare/main...ann:feature/x",
        ),
        (
            "https://gitea.example.com/team/tpl.git",
            "https://gitea.example.com/ann/mine.git",
            "https://gitea.example.com/team/tpl/compare/main...ann/mine:feature/x",
        ),
        (
            "https://forgejo.example.com/team/tpl",
            "",
            "https://forgejo.example.com/team/tpl/compare/main...feature/x",
        ),
        (
            "git@bitbucket.org:team/tpl.git",
            "git@bitbucket.org:ann/tpl.git",
            "https://bitbucket.org/ann/tpl/pull-requests/new?source=feature%2Fx&dest=team%2Ftpl%3A%3Amain&t=1",
        ),
        (
            "ssh://git@bitbucket.example.com:7999/ops/tpl.git",
            "https://bitbucket.example.com/scm/~ann/tpl.git",
            (
                "https://bitbucket.example.com/users/ann/repos/tpl/pull-requests?create"
                "&sourceBranch=refs%2Fheads%2Ffeature%2Fx&targetBranch=refs%2Fheads%2Fmain"
            ),
        ),
        ("https://git.example.com/team/tpl.git", "", "https://git.example.com/team/tpl"),
        ("/srv/git/tpl.git", "", ""),
        ("https://github.com/team/tpl", "/srv/git/tpl.git", ""),
    ],
)
def test_the_page_of_each_forge(upstream: str, fork: str, page: str) -> None:
    assert pullrequest.page(proposal(upstream, fork)) == page


def test_forks_on_other_hosts_have_no_page_of_their_own() -> None:
    assert pullrequest.page(proposal("https://github.com/t/x", "https://gitlab.com/a/x")) == "https://github.com/t/x"


def test_nothing_in_a_name_becomes_a_part_of_the_address() -> None:
    page = pullrequest.page(proposal("https://github.com/t/x", branch="a?b#c&d=e", base="m%n", title="t"))
    assert page == "https://github.com/t/x/compare/m%25n...a%3Fb%23c%26d%3De?expand=1&title=t"


def test_a_draft_on_gitlab() -> None:
    assert "title%5D=Draft%3A%20Add" in pullrequest.page(proposal("https://gitlab.com/t/x", draft=True))


def test_what_a_forge_says_when_it_is_pushed_to() -> None:
    told = (
        "remote: \n"
        "remote: Create a new pull request for 'feature/x':\n"
        "remote:   https://git.example.com/team/tpl/compare/main...feature/x\n"
        "To https://git.example.com/team/tpl.git\n"
    )
    known = "https://git.example.com/team/tpl/compare/main...feature/x"
    assert pullrequest.told_by("git@git.example.com:team/tpl.git", told) == known
    assert pullrequest.told_by("https://git.example.com:8443/team/tpl.git", told) == known
    assert pullrequest.told_by("https://elsewhere.example.com/team/tpl.git", told) == ""
    assert pullrequest.told_by("/srv/git/tpl.git", told) == ""
    for lie in (
        "remote: https://git.example.com@bad.example/x",
        "remote: https://[",
        "remote: https://git.example.com/\x1b[2J",
    ):
        assert pullrequest.told_by("https://git.example.com/t.git", lie) == ""


def test_the_commands() -> None:
    what = proposal("git@github.com:team/tpl.git", "git@github.com:ann/tpl.git", draft=True, title="--web")
    assert pullrequest.gh(what) == [
        *("gh", "pr", "create", "--repo=github.com/team/tpl", "--head=ann:feature/x", "--base=main"),
        *("--title=--web", "--body=", "--draft"),
    ]
    what = proposal("https://gitlab.com/team/tpl.git", "https://gitlab.com/ann/tpl.git", title="t", body="b")
    assert pullrequest.glab(what) == [
        *("glab", "mr", "create", "--yes", "--repo=https://gitlab.com/team/tpl", "--head=ann/tpl"),
        *("--source-branch=feature/x", "--target-branch=main", "--title=t", "--description=b"),
    ]
    same = proposal("https://gitlab.com/team/tpl.git")
    assert not any(each.startswith("--head") for each in pullrequest.glab(same))
    assert "--head=feature/x" in pullrequest.gh(same)


def test_titles() -> None:
    assert pullrequest.title_of(["Add it"], "feature/x") == ("Add it", "")
    assert pullrequest.title_of(["One", "Two"], "ann/more-replicas") == ("More replicas", "- One\n- Two")
    assert pullrequest.title_of([], "-") == ("-", "")


def test_the_address_in_what_a_program_said() -> None:
    assert pullrequest.address_in("Creating…\nhttps://github.com/t/x/pull/7\n") == "https://github.com/t/x/pull/7"
    assert pullrequest.address_in("a pull request already exists:\nhttps://github.com/t/x/pull/7.") == (
        "https://github.com/t/x/pull/7"
    )
    assert pullrequest.address_in("done") == ""
