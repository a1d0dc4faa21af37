"""`gh` and `glab`: used where they are there and logged in, believed where they refuse."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devloop import errors
from devloop.argocd import forgecli, pullrequest

WHAT = pullrequest.Proposal("https://github.com/t/x", "https://github.com/t/x", "b", "main", "title")


def program(folder: Path, name: str, script: str) -> None:
    made = folder / name
    made.write_text(f"#!/bin/sh\n{script}\n")
    made.chmod(0o755)


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path


async def test_only_where_it_is_logged_in_to_that_host(bin_: Path) -> None:
    there = str(bin_)
    assert await forgecli.usable("https://github.com/t/x", there) == ""
    program(bin_, "gh", '[ "$*" = "auth status --hostname github.com" ]')
    program(bin_, "glab", '[ "$*" = "auth status --hostname git.example.com" ]')
    assert await forgecli.usable("git@github.com:t/x.git", there) == "gh"
    assert await forgecli.usable("https://github.example.com/t/x", there) == ""
    assert await forgecli.usable("https://gitlab.com/t/x", there) == ""
    # a host whose name says nothing is asked about with both
    assert await forgecli.usable("https://git.example.com/t/x", there) == "glab"
    assert await forgecli.usable("https://bitbucket.org/t/x", there) == ""
    assert await forgecli.usable("/srv/git/x", there) == ""


async def test_what_it_opened(bin_: Path) -> None:
    program(bin_, "gh", f'printf "%s\\n" "$@" > {bin_}/told; echo https://github.com/t/x/pull/7')
    assert await forgecli.opened("gh", WHAT, str(bin_)) == ("https://github.com/t/x/pull/7", False)
    assert "--title=title" in (bin_ / "told").read_text().splitlines()


async def test_one_that_is_open_already(bin_: Path) -> None:
    program(
        bin_, "glab", "echo 'already exists for this branch: https://gitlab.com/t/x/-/merge_requests/3' >&2; exit 1"
    )
    assert await forgecli.opened("glab", WHAT, str(bin_)) == ("https://gitlab.com/t/x/-/merge_requests/3", True)


async def test_a_refusal_is_told(bin_: Path) -> None:
    program(bin_, "gh", "echo 'GraphQL: no permission' >&2; exit 1")
    with pytest.raises(errors.LocalError, match="GraphQL: no permission") as raised:
        await forgecli.opened("gh", WHAT, str(bin_))
    assert raised.value.error_code == "DL1066"


async def test_what_hangs_or_is_not_there(bin_: Path) -> None:
    program(bin_, "gh", "exec sleep 60")
    with pytest.raises(errors.LocalError, match="did not end"):
        await forgecli.run(["gh"], str(bin_), timeout_s=0.05)
    with pytest.raises(errors.LocalError, match="cannot be run"):
        await forgecli.run(["glab"], str(bin_))
