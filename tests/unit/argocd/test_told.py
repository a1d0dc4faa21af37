"""The JSON of `devloop env`: what is written here is what scripts rely on."""

from __future__ import annotations

from typing import Any

from devloop.argocd import application, chain, checkout, environment, findings, picture, rendered, told
from devloop.argocd.findings import Answer, Effect, Finding, Kind
from devloop.argocd.manifestfiles import Place
from tests.unit.argocd import samples


def member(**spec: Any) -> environment.Member:
    return environment.Member(application.read(samples.raw(**spec)), environment.Why.WORKLOAD, "web", ("web",))


def test_an_application_in_brief() -> None:
    assert told.brief(member()) == {
        "namespace": "argocd",
        "name": "shop",
        "because": {"kind": "workload", "of": "web"},
        "services": ["web"],
        "project": "team",
        "sync": "Synced",
        "health": "Healthy",
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "ann"},
        "automated": {"selfHeal": True, "prune": True},
        "sources": [
            {
                "repo": "https://git.example/templates.git",
                "targetRevision": "main",
                "revision": "a" * 40,
                "path": "envs/ann",
                "chart": None,
                "ref": None,
                "name": None,
                "generator": None,
            }
        ],
    }


def test_what_is_not_said_is_null() -> None:
    several = member(sources=[{"repoURL": "a", "chart": "c"}, {"repoURL": "b", "ref": "r"}], syncPolicy={})
    found = told.brief(several)
    assert found["automated"] is None
    assert [each["generator"] for each in found["sources"]] == ["helm", None]
    assert [each["revision"] for each in found["sources"]] == ["a" * 40, None]
    assert told.reference(several.reference) == {"namespace": "argocd", "name": "shop"}


def test_an_application_with_all_that_is_known() -> None:
    owner = Finding(Kind.APPLICATION_SET, "a/b", "e", Effect.REVERTS, Answer.REFUSE, "w", "y: 1", "here", "step")
    known = checkout.Standing("origin/main", "t", 2, 0, fetched_s=1.5)
    verdict = findings.Verdict(Answer.REFUSE, (owner,))
    found = told.shown(picture.Shown(member(), verdict, (known,), {"argocd": "https://a.example"}))
    assert found["sources"][0]["branch"] == {
        "name": "origin/main",
        "tip": "t",
        "known": True,
        "behind": 2,
        "ahead": 0,
        "fetchedAt": 1.5,
    }
    assert found["owners"] == [
        {
            "kind": "applicationset",
            "name": "a/b",
            "evidence": "e",
            "effect": "reverts",
            "switch": "refuse",
            "why": "w",
            "state": "step",
            "fix": {"where": "here", "yaml": "y: 1"},
        }
    ]
    assert (found["switch"], found["images"]) == ("refuse", ["registry.example/web:1.2"])
    assert found["resources"][0] == {
        "group": "apps",
        "kind": "Deployment",
        "namespace": "ann",
        "name": "web",
        "sync": "Synced",
        "health": None,
        "message": None,
        "toPrune": False,
    }
    assert {"hydrated", "conditions", "syncOptions", "reconciledAt", "links", "externalUrls"} <= found.keys()


def test_a_sync_and_how_far_it_is() -> None:
    raw = samples.raw()
    results = [{"kind": "A", "name": "a", "status": "Synced"}, {"kind": "B", "name": "b", "status": "SyncFailed"}]
    raw["status"]["operationState"] = {"phase": "Running", "startedAt": "T", "syncResult": {"resources": results}}
    found = told.operation(application.read(raw))
    assert found is not None
    assert (found["running"], found["done"], found["total"], found["finishedAt"]) == (True, 1, 2, None)
    del raw["status"]["operationState"]
    assert told.operation(application.read(raw)) is None
    assert told.operation(application.read({**raw, "operation": {"x": 1}})) == {"phase": "Pending", "running": True}


def test_a_service_and_its_way() -> None:
    one = chain.Chain("web", "ann", ("web-1",), "web-9", samples.deployment())
    located = rendered.Located("e", (Place("e/a.yaml", 3),), (Place("o/p.yaml"),), ("e/values.yaml",))
    way = picture.Way(one, application.Reference("argocd", "shop"), "", located, {"x": "https://x.example"})
    assert told.way(way) == {
        "service": "web",
        "namespace": "ann",
        "pods": ["web-1"],
        "replicaSet": "web-9",
        "workload": {"kind": "Deployment", "name": "web"},
        "application": {"namespace": "argocd", "name": "shop"},
        "foreign": None,
        "problem": None,
        "source": {
            "folder": "e",
            "files": [{"file": "e/a.yaml", "line": 3}],
            "changedBy": [{"file": "o/p.yaml", "line": None}],
            "values": ["e/values.yaml"],
            "why": None,
        },
        "links": {"x": "https://x.example"},
    }
    empty = told.way(picture.Way(chain.Chain("web", "ann", trouble="gone")))
    assert (empty["workload"], empty["source"], empty["problem"]) == (None, None, "gone")


def test_the_whole() -> None:
    found = told.whole(picture.Picture((), clone=checkout.Clone("/t", {}, "main"), way="kubernetes"))
    assert found["checkout"] == {"folder": "/t", "branch": "main", "problem": None}
    assert {key: found[key] for key in ("v", "way", "applications", "services", "related", "unseen")} == {
        "v": 1,
        "way": "kubernetes",
        "applications": [],
        "services": [],
        "related": [],
        "unseen": [],
    }
    broken = told.whole(picture.Picture((), clone="no clone", asked=picture.Asked("/x")))["checkout"]
    assert broken == {"folder": "/x", "branch": None, "problem": "no clone"}
