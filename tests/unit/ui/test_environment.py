"""What `devloop env status` says to people."""

from __future__ import annotations

from typing import Any

import pytest

from devloop.argocd import application, chain, checkout, environment, findings, picture, rendered
from devloop.argocd.findings import Answer, Effect, Finding, Kind
from devloop.argocd.manifestfiles import Place
from devloop.ui import environment as view
from tests.unit.argocd import samples


def shown(raw: dict[str, Any], *owners: Finding, **more: Any) -> picture.Shown:
    one = application.read(raw)
    member = environment.Member(one, environment.Why.WORKLOAD, "web", ("web",))
    more.setdefault("standings", (None,) * len(one.sources))
    return picture.Shown(member, findings.Verdict(findings.worst(owners), owners), **more)


def text(*some: picture.Shown, width: int = 0, verbose: bool = False, color: bool = False, **more: Any) -> str:
    return view.render(picture.Picture(some, **more), now_s=7200.0, width=width, verbose=verbose, color=color)


def test_an_application_in_a_few_lines() -> None:
    lines = text(shown(samples.raw(), links={"argocd": "https://a.example"})).splitlines()
    assert lines[2:] == [
        "",
        "argocd/shop  Synced  Healthy",
        "  source    main at aaaaaaa  https://git.example/templates.git  envs/ann",
        "  sync      Succeeded at 2026-11-20T09:59:30Z, by auto-sync",
        "  images    registry.example/web:1.2",
        "  argocd    https://a.example",
    ]


def raw(**status: Any) -> dict[str, Any]:
    made = samples.raw()
    made["status"].update(status)
    return made


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"conditions": [{"type": "ComparisonError", "message": "no\x1b[2J repo"}]}, "ComparisonError: no repo"),
        ({"health": {"status": "Degraded", "message": "bad"}}, "health    bad"),
        (
            {"operationState": {"phase": "Running", "operation": {"initiatedBy": {"username": "ann"}}, "message": "m"}},
            "sync      Running, by ann, 0 of 2 objects: m",
        ),
        ({"operationState": {"phase": "Failed", "finishedAt": "T", "message": "m"}}, "sync      Failed at T: m"),
        (
            {"resources": [{"kind": "Pod", "name": "x", "status": "OutOfSync", "requiresPruning": True}]},
            "object    Pod/x: OutOfSync, left git, to be pruned",
        ),
        ({"resources": [{"kind": "Pod", "name": str(at), "status": "OutOfSync"} for at in range(12)]}, "and 2 more"),
        ({"summary": {"externalURLs": ["https://shop.example"]}}, "external  https://shop.example"),
    ],
)
def test_what_is_not_as_it_should_be(status: dict[str, Any], said: str) -> None:
    assert said in text(shown(raw(**status)))


def test_a_sync_that_is_asked_for() -> None:
    assert "asked for, not begun" in text(shown({**samples.raw(), "operation": {"sync": {}}}))


def test_kinds_of_sources() -> None:
    several = samples.raw(
        sources=[
            {"repoURL": "https://charts.example", "chart": "redis", "targetRevision": "1.*"},
            {"repoURL": "r", "ref": "vals"},
        ]
    )
    told = text(shown(several))
    assert "1.* at aaaaaaa  https://charts.example  chart redis  (helm)" in told
    assert "HEAD  r  lent as $vals" in told
    dry = {"drySource": {"repoURL": "r", "targetRevision": "main"}, "syncSource": {"targetBranch": "env/dev"}}
    assert "rendered into the branch env/dev" in text(shown(samples.raw(sourceHydrator=dry)))


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        ({}, ""),
        (
            {"behind": 2},
            "is not what origin/main points to: 2 commits behind, as your clone knows it",
        ),
        ({"ahead": 1}, "is 1 commit ahead of origin/main, as your clone knows it (fetched 1 h 0 min ago)"),
        ({"ahead": 1, "behind": 1}, "they have gone apart"),
        ({"known": False}, "your clone does not have this commit"),
    ],
)
def test_what_the_clone_knows_of_the_branch(standing: dict[str, Any], said: str) -> None:
    known = checkout.Standing("origin/main", "t", fetched_s=3600.0, **standing)
    told = text(shown(samples.raw(), standings=(known,)))
    assert said in told
    assert ("origin/main" in told) is bool(said)


def test_owners_with_their_verdict() -> None:
    owner = Finding(Kind.APPLICATION_SET, "a/devs", "evidence", Effect.REVERTS, Answer.REFUSE, "why", "a: 1\n", "X")
    fine = Finding(Kind.IMAGE_UPDATER, "img", "evidence", why="harmless", state="step 1")
    brief = text(shown(samples.raw(), owner, fine))
    assert "owner     applicationset a/devs [no switch]: why" in brief
    assert "owner     image-updater img: harmless" in brief
    assert "step 1" in brief
    assert ("evidence" in brief, "told by -v" in brief) == (False, True)
    long = text(shown(samples.raw(), owner), verbose=True)
    assert "known by: evidence" in long
    assert "for Ops, into X:\n              a: 1" in long


CLONE = checkout.Clone("/t", {})


def test_a_service_and_its_way() -> None:
    one = chain.Chain("web", "ann", ("web-2", "web-1"), "web-9", samples.deployment())
    located = rendered.Located("e", (Place("e/a.yaml", 3),), (Place("o/p.yaml"),), ("e/values.yaml",), "because")
    way = picture.Way(one, application.Reference("argocd", "shop"), "", located, {"grafana": "https://g.example"})
    told = text(ways=(way,), clone=CLONE)
    for said in (
        "service web",
        "pods      web-2 and 1 more",
        "-> web-9",
        "workload  deployment/web",
        "app       argocd/shop",
        "/t/e/a.yaml:3",
        "patches   ",
        "/t/o/p.yaml",
        "/t/e/values.yaml",
        "because",
        "grafana   https://g.example",
    ):
        assert said in told


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (picture.Way(chain.Chain("web", "ann", trouble="it is gone")), "problem   it is gone"),
        (picture.Way(chain.Chain("web", "ann", workload=samples.deployment())), "app       none renders it"),
        (picture.Way(chain.Chain("web", "ann"), foreign="teams/x"), "teams/x, which is not there or may not be read"),
        (picture.Way(chain.Chain("web", "ann"), located=rendered.Located("e", why="no file")), "folder"),
    ],
)
def test_a_way_that_ends_early(way: picture.Way, said: str) -> None:
    assert said in text(ways=(way,), clone=CLONE)


def test_what_is_near_and_what_is_hidden() -> None:
    near = environment.Member(application.read(samples.raw("bobs")), environment.Why.SIBLING, "devs")
    around = findings.Surroundings(unseen=("ApplicationSets in argocd: no",))
    told = text(shown(samples.raw()), related=(near,), around=around, clone="there is no folder /x")
    assert "near, and left alone unless named: argocd/bobs" in told
    assert "owners may be hidden: ApplicationSets in argocd: no" in told
    assert "argocd.templates: there is no folder /x" in told


def test_a_narrow_terminal_breaks_words_only() -> None:
    owner = Finding(Kind.KARGO, "shop:dev", "e", Effect.REVERTS, Answer.REFUSE, "a sentence of many words " * 5)
    address = "https://argocd.example/applications/argocd/shop/and/a/long/way/that/must/stay/whole"
    told = text(shown(samples.raw(), owner, links={"argocd": address}), width=60)
    assert address in told
    assert all(len(line) <= 60 or "https://" in line for line in told.splitlines()[3:])


def test_colours_only_where_asked_for() -> None:
    assert "\x1b" not in text(shown(samples.raw()))
    assert "\x1b" in text(shown(samples.raw()), color=True)
