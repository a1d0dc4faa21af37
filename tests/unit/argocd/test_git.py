"""The user's own git, asked with a deadline and never for a password."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from devloop import errors
from devloop.argocd import git


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    there = tmp_path / "templates"
    there.mkdir()
    for words in (
        "init -q -b main",
        "-c user.name=a -c user.email=a@b commit -q --allow-empty -m one",
        "-c user.name=a -c user.email=a@b tag -a v1 -m v1",
        "branch feature/x",
        "remote add upstream https://git.example/up.git",
        "remote add origin git@git.example:ann/t.git",
    ):
        subprocess.run(["git", *words.split()], cwd=there, check=True, capture_output=True)
    return there


async def test_branches_tags_and_head(repo: Path) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repo, capture_output=True, text=True).stdout.strip()
    url = f"file://{repo}"
    for name in ("main", "feature/x", "v1", "HEAD"):
        assert await git.commit_of(url, name) == commit
    for name in ("x", "feature", "refs/heads/main", "--upload-pack=touch /tmp/x", ""):
        assert await git.commit_of(url, name) == ""
    assert await git.commit_of("--upload-pack=x", "main") == ""


async def test_a_repository_that_cannot_be_asked_is_not_one_without_the_branch(tmp_path: Path) -> None:
    with pytest.raises(errors.LocalError) as raised:
        await git.commit_of(f"file://{tmp_path}/nowhere", "main")
    assert raised.value.error_code == "DL1024"


async def test_remotes_with_origin_first(repo: Path, tmp_path: Path) -> None:
    assert list((await git.remotes(str(repo))).items()) == [
        ("origin", "git@git.example:ann/t.git"),
        ("upstream", "https://git.example/up.git"),
    ]
    assert await git.remotes(str(tmp_path)) == {}


async def test_addresses_in_full(repo: Path) -> None:
    for words in (
        "config url.https://git.example/.insteadOf ex:",
        "remote add short ex:team/t",
        "remote add folder /srv/git/t",
    ):
        subprocess.run(["git", *words.split()], cwd=repo, check=True)
    there = str(repo)
    assert await git.address(there, "short") == "https://git.example/team/t"
    assert await git.address(there, "upstream") == "https://git.example/up.git"
    assert await git.address(there, "folder") == "/srv/git/t"
    assert await git.address(there, "gone") == ""


async def test_what_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(errors.LocalError, match="did not end"):
        await git.run(["status"], timeout_s=0.2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await git.run(["status"])


async def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.LocalError, match="cannot be run"):
        await git.run(["status"])
