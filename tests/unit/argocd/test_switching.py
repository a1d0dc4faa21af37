"""Which fields a branch or a pause changes, there and back, and when devloop keeps its hands off."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from devloop import errors
from devloop.argocd import application, lease, switching
from devloop.argocd.switching import Standing, Switch
from tests.unit.argocd import jsonpatch, samples

HELD = "ann/devloop-branch-argocd.shop"
BRANCH, PAUSE = lease.Kind.BRANCH.pointer, lease.Kind.PAUSE.pointer
FORK = "https://git.example/ann/templates.git"


def switched(raw: dict[str, Any], asked: Switch) -> tuple[dict[str, Any], lease.Entry]:
    one = application.read(raw)
    entry = switching.branch_entry(one, asked)
    return jsonpatch.apply(raw, [dict(each) for each in switching.forth(one, entry, BRANCH, HELD)]), entry


def restored(raw: dict[str, Any], entry: lease.Entry, pointer: str = BRANCH) -> dict[str, Any]:
    one = application.read(raw)
    return jsonpatch.apply(raw, [dict(each) for each in switching.back(one, entry, pointer, HELD)])


SHAPES = {
    "single": samples.raw(),
    "with annotations": {**samples.raw(), "metadata": {**samples.raw()["metadata"], "annotations": {"a": "b"}}},
    "without a revision": samples.raw(source={"repoURL": "https://git.example/templates.git", "path": "."}),
    "several of one repository": samples.raw(
        source=None,
        sources=[
            {"repoURL": "https://charts.example", "chart": "redis", "targetRevision": "18.*"},
            {"repoURL": "https://git.example/templates.git", "ref": "values", "targetRevision": "main"},
            {"repoURL": "git@git.example:templates.git", "path": "app", "targetRevision": "v1"},
        ],
    ),
    "hydrated": samples.raw(
        source=None,
        sourceHydrator={
            "drySource": {"repoURL": "https://git.example/templates.git", "path": ".", "targetRevision": "HEAD"},
            "syncSource": {"targetBranch": "env/ann", "path": "out"},
        },
    ),
}


@pytest.mark.parametrize("repo", ["", FORK])
@pytest.mark.parametrize("shape", SHAPES)
def test_there_and_back_leaves_nothing(shape: str, repo: str) -> None:
    before = copy.deepcopy(SHAPES[shape])
    during, entry = switched(before, Switch("feature/x", repo))
    one = application.read(during)
    assert {source.revision for source in one.sources if source.is_git} == {"feature/x"}
    assert {source.repo for source in one.sources if source.is_git and repo} <= {FORK}
    assert switching.holder(one, lease.Kind.BRANCH) == HELD
    assert switching.standing(one, entry, BRANCH, HELD) == (Standing.OURS, "")
    after = restored(during, entry)
    if not before["metadata"].get("annotations"):
        assert after["metadata"].pop("annotations") == {}
    assert after == before


def test_charts_and_other_repositories_keep_their_versions() -> None:
    raw = samples.raw(
        source=None,
        sources=[
            {"repoURL": "https://charts.example", "chart": "redis", "targetRevision": "18.*"},
            {"repoURL": "https://git.example/templates.git", "path": "a", "targetRevision": "main"},
            {"repoURL": "https://git.example/values.git", "ref": "v", "targetRevision": "main", "name": "values"},
        ],
    )
    one = application.read(raw)
    with pytest.raises(errors.UsageError, match="several repositories") as raised:
        switching.branch_entry(one, Switch("x"))
    assert raised.value.error_code == "DL1021"
    of = switching.branch_entry(one, Switch("x", of="git@git.example:templates"))
    assert [each.path for each in of.fields] == ["/spec/sources/1/targetRevision"]
    for name in ("values", "3"):
        named = switching.branch_entry(one, Switch("x", source=name))
        assert [each.path for each in named.fields] == ["/spec/sources/2/targetRevision"]
    for wrong in ("1", "nope", "9"):
        with pytest.raises(errors.UsageError):
            switching.branch_entry(one, Switch("x", source=wrong))


def test_a_chart_alone_has_no_branch() -> None:
    one = application.read(samples.raw(source={"repoURL": "https://charts.example", "chart": "redis"}))
    with pytest.raises(errors.UsageError, match="not branches"):
        switching.branch_entry(one, Switch("x"))


def test_what_is_there_already_needs_no_change() -> None:
    assert switching.branch_entry(application.read(samples.raw()), Switch("main")).fields == ()
    same = switching.branch_entry(application.read(samples.raw()), Switch("main", "git@git.example:templates.git"))
    assert same.fields == ()


@pytest.mark.parametrize("policy", [{"automated": {"prune": True}}, {"automated": {}, "syncOptions": ["A=true"]}])
def test_a_pause_takes_auto_sync_away_and_gives_it_back_as_it_was(policy: dict[str, Any]) -> None:
    before = samples.raw(syncPolicy=policy)
    one = application.read(before)
    entry = switching.pause_entry(one)
    during = jsonpatch.apply(before, [dict(each) for each in switching.forth(one, entry, PAUSE, HELD)])
    assert application.read(during).automated is None
    assert restored(during, entry, PAUSE)["spec"] == before["spec"]
    # somebody wrote the object without the empty rest
    if not during["spec"]["syncPolicy"]:
        del during["spec"]["syncPolicy"]
        assert restored(during, entry, PAUSE)["spec"] == before["spec"]


def test_there_is_nothing_to_pause_where_auto_sync_is_off() -> None:
    assert switching.pause_entry(application.read(samples.raw(syncPolicy={}))).fields == ()


def test_somebody_elses_change_between_look_and_write_stops_the_patch() -> None:
    raw = samples.raw()
    one = application.read(raw)
    entry = switching.branch_entry(one, Switch("x"))
    changes = [dict(each) for each in switching.forth(one, entry, BRANCH, HELD)]
    moved = samples.raw(source={**raw["spec"]["source"], "targetRevision": "theirs"})
    leased = {**raw, "metadata": {**raw["metadata"], "annotations": {BRANCH: "bob/other"}}}
    renewed = {**raw, "metadata": {**raw["metadata"], "uid": "another"}}
    for other in (moved, leased, renewed):
        with pytest.raises(jsonpatch.TestFailed):
            jsonpatch.apply(other, changes)


def test_who_has_the_last_word() -> None:
    raw = samples.raw()
    during, entry = switched(raw, Switch("x", FORK))

    def standing(found: dict[str, Any] | None) -> Standing:
        one = application.read(found) if found is not None else None
        return switching.standing(one, entry, BRANCH, HELD)[0]

    assert standing(None) is Standing.GONE
    assert standing({**during, "metadata": {**during["metadata"], "uid": "another"}}) is Standing.GONE
    assert standing(raw) is Standing.UNTOUCHED
    source = during["spec"]["source"]
    by_hand = {**during, "spec": {**during["spec"], "source": {**source, "targetRevision": "by-hand"}}}
    half = {**during, "spec": {**during["spec"], "source": {**source, "targetRevision": "main"}}}
    taken = {**during, "metadata": {**during["metadata"], "annotations": {BRANCH: "bob/other"}}}
    unmarked = {**during, "metadata": {**during["metadata"], "annotations": {}}}
    for other in (by_hand, half, taken, unmarked):
        assert standing(other) is Standing.FOREIGN
        with pytest.raises(jsonpatch.TestFailed):
            restored(other, entry)


def test_a_source_that_moved_in_its_list_is_not_put_back_blindly() -> None:
    raw = copy.deepcopy(SHAPES["several of one repository"])
    during, entry = switched(raw, Switch("x"))
    # Ops put another source in front: the numbers mean others now, which happen to have the same revision
    sources = during["spec"]["sources"]
    other = {"repoURL": "https://git.example/other.git", "path": ".", "targetRevision": "x"}
    moved = {**during, "spec": {**during["spec"], "sources": [sources[0], other, *sources[1:]]}}
    assert switching.standing(application.read(moved), entry, BRANCH, HELD)[0] is Standing.FOREIGN
    with pytest.raises(jsonpatch.TestFailed):
        restored(moved, entry)


def test_a_mark_alone_can_be_taken_away() -> None:
    raw = samples.raw()
    marked = {**raw, "metadata": {**raw["metadata"], "annotations": {BRANCH: HELD}}}
    entry = lease.Entry("argocd", "shop", "uid-shop", ())
    changes = [dict(each) for each in switching.let_go(entry, BRANCH, HELD)]
    assert jsonpatch.apply(marked, changes)["metadata"]["annotations"] == {}
    with pytest.raises(jsonpatch.TestFailed):
        jsonpatch.apply({**raw, "metadata": {**raw["metadata"], "annotations": {BRANCH: "bob/x"}}}, changes)
