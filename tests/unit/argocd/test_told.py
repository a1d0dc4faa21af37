"""The JSON of `devloop env`: what is written here is what scripts rely on."""

from __future__ import annotations

from typing import Any

from devloop.argocd import application, environment, told
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
