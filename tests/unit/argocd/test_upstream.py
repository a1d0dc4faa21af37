"""The checkout of the templates: its branch, what is not committed, and which remote is upstream."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop import errors
from devloop.argocd import upstream
from tests.unit.argocd import clones


@pytest.fixture
def there(tmp_path: Path) -> clones.Clones:
    return clones.Clones(tmp_path)


async def test_a_fork_and_its_upstream(there: clones.Clones) -> None:
    one = await upstream.look(str(there.mine))
    assert (one.branch, one.upstream, one.pushes, one.is_fork) == ("feature/x", "upstream", "origin", True)
    assert (one.changed, one.unknown, one.waiting) == ((), (), "")
    assert await upstream.default_branch(one) == "main"
    assert await upstream.pushed(one) == ""


async def test_a_clone_without_a_fork(there: clones.Clones) -> None:
    one = await upstream.look(str(there.other))
    assert (one.upstream, one.pushes, one.is_fork) == ("origin", "origin", False)


@pytest.mark.parametrize(
    ("key", "value", "pushes"),
    [
        ("branch.feature/x.pushRemote", "upstream", "upstream"),
        ("remote.pushDefault", "upstream", "upstream"),
        # begun from upstream's main, which it tracks, and pushed to the fork all the same
        ("branch.feature/x.remote", "upstream", "origin"),
        ("branch.feature/x.remote", "nowhere", "origin"),
    ],
)
async def test_where_a_branch_is_pushed_to(there: clones.Clones, key: str, value: str, pushes: str) -> None:
    clones.git(there.mine, "config", key, value)
    assert (await upstream.look(str(there.mine))).pushes == pushes


async def test_what_is_not_committed(there: clones.Clones) -> None:
    (there.mine / "web.yaml").write_text("two\n")
    (there.mine / "a b\n.yaml").write_text("new\n")
    one = await upstream.look(str(there.mine))
    assert (one.changed, one.unknown) == (("web.yaml",), ("a b\n.yaml",))
    with pytest.raises(errors.LocalError, match=r"web\.yaml") as raised:
        upstream.check_clean(one, unknown=False, hint="commit it")
    assert raised.value.error_code == "DL1061"
    clones.git(there.mine, "checkout", "-q", "web.yaml")
    one = await upstream.look(str(there.mine))
    upstream.check_clean(one, unknown=False, hint="")
    with pytest.raises(errors.LocalError):
        upstream.check_clean(one, unknown=True, hint="")


async def test_no_branch_and_no_commit(there: clones.Clones, tmp_path: Path) -> None:
    clones.git(there.mine, "checkout", "-q", "--detach")
    with pytest.raises(errors.LocalError, match="no branch is checked out") as raised:
        upstream.check_branch(await upstream.look(str(there.mine)))
    assert raised.value.error_code == "DL1062"
    clones.git(tmp_path, "init", "-q", "empty")
    clones.git(tmp_path / "empty", "remote", "add", "origin", str(there.up))
    with pytest.raises(errors.LocalError, match="no commit yet"):
        upstream.check_branch(await upstream.look(str(tmp_path / "empty")))


async def test_a_rebase_that_waits(there: clones.Clones) -> None:
    there.commit(there.mine, "web.yaml", "mine\n")
    there.upstream("web.yaml", "theirs\n")
    clones.git(there.mine, "fetch", "-q", "upstream")
    with pytest.raises(Exception, match="rebase"):
        clones.git(there.mine, "rebase", "upstream/main")
    one = await upstream.look(str(there.mine))
    assert one.waiting == "rebase"
    with pytest.raises(errors.LocalError, match="rebase is not finished") as raised:
        upstream.check_branch(one)
    assert raised.value.error_code == "DL1064" and "git rebase --abort" in raised.value.hint


async def test_no_checkout(there: clones.Clones, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    clones.git(tmp_path, "init", "-q", "alone")
    for folder in ("", str(tmp_path / "nowhere"), str(tmp_path / "plain"), str(tmp_path / "alone")):
        with pytest.raises(errors.LocalError) as raised:
            await upstream.look(folder)
        assert raised.value.error_code == "DL1060"
    with pytest.raises(errors.UsageError, match="no remote 'gone'"):
        await upstream.look(str(there.mine), "gone")


async def test_fetching_and_what_is_behind(there: clones.Clones) -> None:
    tip = there.upstream("web.yaml", "two\n")
    one = await upstream.look(str(there.mine))
    assert await upstream.fetch(one, "main") == tip
    assert await upstream.contains(one.top, tip, one.head)
    assert not await upstream.contains(one.top, one.head, tip)
    assert not await upstream.contains(one.top, one.head, "b" * 40)
    with pytest.raises(errors.LocalError, match="git fetch failed"):
        await upstream.fetch(one, "gone")
    with pytest.raises(errors.LocalError, match="git fetch failed"):
        await upstream.fetch(one, "--upload-pack=touch x")


async def test_what_the_branch_once_had(there: clones.Clones) -> None:
    made = there.commit(there.mine, "a.yaml", "a\n")
    clones.git(there.mine, "commit", "-q", "--amend", "-m", "other words")
    theirs = there.upstream("web.yaml", "two\n")
    one = await upstream.look(str(there.mine))
    await upstream.fetch(one, "main")
    assert await upstream.had(one, made) and await upstream.had(one, one.head)
    assert not await upstream.had(one, theirs)


async def test_an_upstream_without_a_default_branch(there: clones.Clones, tmp_path: Path) -> None:
    clones.git(tmp_path, "init", "-q", "--bare", "bare.git")
    clones.git(there.mine, "remote", "add", "other", str(tmp_path / "bare.git"))
    with pytest.raises(errors.LocalError, match="has no default branch"):
        await upstream.default_branch(await upstream.look(str(there.mine), "other"))
