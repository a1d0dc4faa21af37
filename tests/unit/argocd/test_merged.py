"""Whether all of a branch is upstream, in each of the ways in which forges merge."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop.argocd import git, merged, upstream
from devloop.argocd.merged import Standing
from tests.unit.argocd import clones


@pytest.fixture
def there(tmp_path: Path) -> clones.Clones:
    return clones.Clones(tmp_path)


async def standing(there: clones.Clones) -> Standing:
    one = await upstream.look(str(there.mine))
    return await merged.standing(one.top, one.head, await upstream.fetch(one, "main"), one.branch)


def pushed(there: clones.Clones) -> None:
    there.commit(there.mine, "a.yaml", "a\n")
    there.commit(there.mine, "b.yaml", "b\n")
    clones.git(there.mine, "push", "-q", "origin", "feature/x")


async def test_nothing_was_committed(there: clones.Clones) -> None:
    assert await standing(there) is Standing.EMPTY
    there.upstream("web.yaml", "two\n")
    assert await standing(there) is Standing.EMPTY


async def test_something_is_not_upstream(there: clones.Clones) -> None:
    pushed(there)
    there.upstream("web.yaml", "two\n")
    assert await standing(there) is Standing.AHEAD


async def test_merged_with_a_commit_and_without_one(there: clones.Clones) -> None:
    pushed(there)
    there.take("merge", "-q", "--ff-only")
    assert await standing(there) is Standing.MERGED
    there.commit(there.mine, "c.yaml", "c\n")
    assert await standing(there) is Standing.AHEAD
    clones.git(there.mine, "push", "-q", "origin", "feature/x")
    there.upstream("web.yaml", "two\n")
    there.take("merge", "-q", "--no-ff", "-m", "merge")
    assert await standing(there) is Standing.MERGED


async def test_squashed(there: clones.Clones) -> None:
    pushed(there)
    there.upstream("web.yaml", "two\n")
    there.take("merge", "-q", "--squash")
    assert await standing(there) is Standing.SQUASHED
    # a later change of the same lines does not make it unmerged
    there.upstream("a.yaml", "other\n")
    assert await standing(there) is Standing.SQUASHED


async def test_a_part_of_it_is_not_all_of_it(there: clones.Clones) -> None:
    pushed(there)
    there.upstream("a.yaml", "a\n")
    assert await standing(there) is Standing.AHEAD


async def test_rebased_by_the_forge(there: clones.Clones) -> None:
    pushed(there)
    there.upstream("web.yaml", "two\n")
    for commit in clones.git(there.mine, "log", "--reverse", "--format=%H", "-2").split():
        clones.git(there.other, "fetch", "-q", str(there.fork), "feature/x")
        clones.git(there.other, "cherry-pick", commit)
    clones.git(there.other, "push", "-q")
    there.upstream("b.yaml", "other\n")
    assert await standing(there) is Standing.SQUASHED


async def test_an_older_git_that_cannot_merge_trees(there: clones.Clones, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed(there)
    there.take("merge", "-q", "--squash")
    real = git.run

    async def old(arguments: list[str], folder: str = "", **more: float) -> git.Said:
        if arguments[0] == "merge-tree":
            return git.Said(129, "", "usage: git merge-tree <base-tree> <branch1> <branch2>")
        return await real(arguments, folder, **more)

    monkeypatch.setattr(git, "run", old)
    assert await standing(there) is Standing.SQUASHED


async def test_histories_without_a_common_commit(there: clones.Clones) -> None:
    clones.git(there.mine, "switch", "-q", "--orphan", "alone")
    there.commit(there.mine, "z.yaml", "z\n")
    assert await standing(there) is Standing.AHEAD
