"""Pushing a branch and taking upstream's commits into it, without losing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop import errors
from devloop.argocd import pulling, upstream
from devloop.argocd.pulling import Way
from tests.unit.argocd import clones


@pytest.fixture
def there(tmp_path: Path) -> clones.Clones:
    return clones.Clones(tmp_path)


async def pull(there: clones.Clones, way: Way, *, autostash: bool = False) -> pulling.Pulled:
    one = await upstream.look(str(there.mine))
    return await pulling.pull(one, "main", await upstream.fetch(one, "main"), way, autostash=autostash)


async def test_a_push_makes_the_branch_track(there: clones.Clones) -> None:
    made = there.commit(there.mine, "a.yaml", "a\n")
    await pulling.push(await upstream.look(str(there.mine)))
    assert there.head() == made
    assert clones.git(there.mine, "rev-parse", "--abbrev-ref", "@{upstream}") == "origin/feature/x"


async def test_a_push_never_overwrites_by_itself(there: clones.Clones) -> None:
    there.commit(there.mine, "a.yaml", "a\n")
    await pulling.push(await upstream.look(str(there.mine)))
    seen = there.head()
    clones.git(there.mine, "commit", "-q", "--amend", "-m", "other words")
    one = await upstream.look(str(there.mine))
    with pytest.raises(errors.RefusedError) as raised:
        await pulling.push(one)
    assert raised.value.error_code == "DL1063" and there.head() == seen
    # somebody else pushed meanwhile: not even by force
    with pytest.raises(errors.RefusedError):
        await pulling.push(one, force=True, seen="b" * 40)
    assert there.head() == seen
    await pulling.push(one, force=True, seen=seen)
    assert there.head() == one.head


async def test_a_protected_branch(there: clones.Clones) -> None:
    hook = there.fork / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'feature/x is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    there.commit(there.mine, "a.yaml", "a\n")
    with pytest.raises(errors.RefusedError, match=r"does not take feature/x: .*feature/x is protected"):
        await pulling.push(await upstream.look(str(there.mine)))


async def test_a_server_that_is_away(there: clones.Clones) -> None:
    clones.git(there.mine, "remote", "set-url", "origin", str(there.fork / "gone"))
    with pytest.raises(errors.LocalError, match="git push failed"):
        await pulling.push(await upstream.look(str(there.mine)))


@pytest.mark.parametrize("way", list(Way))
async def test_taking_upstream_in(there: clones.Clones, way: Way) -> None:
    mine = there.commit(there.mine, "a.yaml", "a\n")
    tip = there.upstream("web.yaml", "two\n")
    done = await pull(there, way)
    assert (done.before, done.taken) == (mine, 1) and done.after != mine
    assert (there.mine / "web.yaml").read_text() == "two\n" and (there.mine / "a.yaml").exists()
    assert await upstream.contains(str(there.mine), done.after, tip)
    assert await upstream.contains(str(there.mine), done.after, mine) is (way is Way.MERGE)
    again = await pull(there, way)
    assert (again.taken, again.after) == (0, done.after)


@pytest.mark.parametrize("way", list(Way))
async def test_conflicts_are_left_to_git(there: clones.Clones, way: Way) -> None:
    mine = there.commit(there.mine, "web.yaml", "mine\n")
    there.upstream("web.yaml", "theirs\n")
    with pytest.raises(errors.RefusedError, match=r"changed the same lines: web\.yaml") as raised:
        await pull(there, way)
    assert raised.value.error_code == "DL1065"
    assert f"{way} --continue" in raised.value.hint and f"{way} --abort" in raised.value.hint
    assert (await upstream.look(str(there.mine))).waiting == way
    clones.git(there.mine, way, "--abort")
    assert clones.git(there.mine, "rev-parse", "HEAD") == mine


@pytest.mark.parametrize("way", list(Way))
async def test_what_is_not_committed_is_put_away_and_comes_back(there: clones.Clones, way: Way) -> None:
    there.commit(there.mine, "a.yaml", "a\n")
    there.upstream("web.yaml", "two\n")
    (there.mine / "a.yaml").write_text("draft\n")
    done = await pull(there, way, autostash=True)
    assert done.taken == 1 and (there.mine / "a.yaml").read_text() == "draft\n"


@pytest.mark.parametrize("way", list(Way))
async def test_what_does_not_fit_any_more_is_kept(there: clones.Clones, way: Way) -> None:
    there.commit(there.mine, "a.yaml", "a\n")
    there.upstream("web.yaml", "two\n")
    (there.mine / "web.yaml").write_text("draft\n")
    with pytest.raises(errors.RefusedError, match="does not fit") as raised:
        await pull(there, way, autostash=True)
    assert "stash pop" in raised.value.hint
    assert "draft" in clones.git(there.mine, "stash", "show", "-p")


async def test_untracked_files_are_never_overwritten(there: clones.Clones) -> None:
    there.upstream("new.yaml", "theirs\n")
    (there.mine / "new.yaml").write_text("mine\n")
    with pytest.raises(errors.LocalError, match="failed"):
        await pull(there, Way.MERGE)
    assert (there.mine / "new.yaml").read_text() == "mine\n"


async def test_the_way_is_the_users(there: clones.Clones) -> None:
    one = await upstream.look(str(there.mine))
    assert await pulling.way_of(one, "") is Way.REBASE
    assert await pulling.way_of(one, "a" * 40) is Way.MERGE
    clones.git(there.mine, "config", "pull.rebase", "true")
    assert await pulling.way_of(one, "a" * 40) is Way.REBASE
    clones.git(there.mine, "config", "branch.feature/x.rebase", "false")
    assert await pulling.way_of(one, "") is Way.MERGE


async def test_who_follows_the_branch(there: clones.Clones) -> None:
    one = await upstream.look(str(there.mine))
    assert pulling.follows(f"file://{there.fork}", "feature/x", one)
    assert not pulling.follows(f"file://{there.up}", "feature/x", one)
    assert not pulling.follows(f"file://{there.fork}", "main", one)
