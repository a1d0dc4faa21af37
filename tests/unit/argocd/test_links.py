from __future__ import annotations

from typing import Any

from devloop.argocd import application, chain, links
from tests.unit.argocd import samples

SHA = "a" * 40
TEMPLATES = {
    "grafana": "https://g.example/d?ns={namespace}&app={application}",
    "pod": "https://g.example/p?pod={pod}",
    "wiki": "https://wiki.example/",
}
REPO = "https://github.com/o/r"


def app(**spec: Any) -> application.Application:
    return application.read(samples.raw(**spec))


def test_an_applications_pages() -> None:
    one = app(source={"repoURL": REPO, "path": "envs/ann", "targetRevision": "main"})
    assert links.of_application(one, "https://argocd.example", TEMPLATES) == {
        "argocd": "https://argocd.example/applications/argocd/shop",
        "repo": f"https://github.com/o/r/tree/{SHA}/envs/ann",
        "grafana": "https://g.example/d?ns=ann&app=shop",
        "wiki": "https://wiki.example/",
    }


def test_each_source_has_its_own_and_charts_none() -> None:
    one = app(
        sources=[
            {"repoURL": "https://charts.example", "chart": "redis"},
            {"repoURL": REPO, "path": "a", "targetRevision": "main"},
            {"repoURL": REPO, "ref": "vals", "targetRevision": "main"},
        ]
    )
    found = links.of_application(one, "", {})
    assert found == {
        "repo": "https://github.com/o/r/tree/main/a",
        "repo-vals": "https://github.com/o/r/tree/main",
    }


def test_a_hydrated_one_is_shown_by_what_it_is_made_from() -> None:
    dry = {"repoURL": REPO, "path": "a", "targetRevision": "main"}
    assert links.of_application(app(sourceHydrator={"drySource": dry}), "", {})["repo"].endswith("/tree/main/a")


def test_a_service_without_pods_has_no_link_to_one() -> None:
    one = chain.Chain("web", "ann", workload=samples.deployment())
    owner = application.Reference("argocd", "shop")
    assert list(links.of_service(one, owner, TEMPLATES)) == ["grafana", "wiki"]
    assert list(links.of_service(one, None, TEMPLATES)) == ["wiki"]
    running = chain.Chain("web", "ann", ("web-1",), workload=samples.deployment())
    assert links.of_service(running, owner, TEMPLATES)["pod"] == "https://g.example/p?pod=web-1"


def test_what_the_objects_themselves_serve() -> None:
    raw = samples.raw()
    raw["status"]["summary"]["externalURLs"] = ["https://shop.example", "javascript:x", 7]
    assert links.external(application.read(raw)) == ("https://shop.example",)
    assert links.external(app()) == ()
