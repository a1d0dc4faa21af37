from __future__ import annotations

from typing import Any

import pytest

from devloop.argocd import application, environment
from devloop.argocd.environment import Why
from devloop.ui import applications
from devloop.ui.style import Tone
from tests.unit.argocd import samples


def app(**spec: Any) -> application.Application:
    return application.read(samples.raw(**spec))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, "main@aaaaaaa"),
        ({"source": {"repoURL": "r", "targetRevision": "a" * 40}}, "aaaaaaa"),
        ({"source": {"repoURL": "r"}}, "HEAD@aaaaaaa"),
        ({"source": {"repoURL": "r", "chart": "c", "targetRevision": "1.*"}}, "1.*@aaaaaaa"),
        ({"source": {"repoURL": "r", "targetRevision": "a\x1b[2J"}}, "a\\x1b[2J@aaaaaaa"),
        ({"sources": [{"repoURL": "r"}, {"repoURL": "s", "targetRevision": "v1"}]}, "HEAD@aaaaaaa + v1"),
        ({"source": {}}, ""),
    ],
)
def test_what_it_follows(spec: dict[str, object], told: str) -> None:
    assert applications.revision(app(**spec)) == told


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({}, "off"),
        ({"automated": {}}, "on"),
        ({"automated": {"selfHeal": True}}, "on+heal"),
        ({"automated": {"selfHeal": True, "prune": True}}, "on+heal+prune"),
        ({"automated": {"enabled": False, "prune": True}}, "off"),
    ],
)
def test_what_argo_cd_does_by_itself(policy: dict[str, object], told: str) -> None:
    assert applications.automatic(app(syncPolicy=policy)) == told


@pytest.mark.parametrize(
    ("why", "of", "services", "told"),
    [
        (Why.NAMED, "", (), "devloop.yaml"),
        (Why.NAMED, "", ("web",), "devloop.yaml; owns web"),
        (Why.WORKLOAD, "web", ("web", "api"), "owns web, api"),
        (Why.CHILD, "root", (), "rendered by root"),
        (Why.NAMESPACE, "ann", (), "deploys to ann"),
        (Why.PARENT, "", (), "renders only these"),
        (Why.PARENT, "shop", (), "renders shop"),
        (Why.SIBLING, "devs", (), "also of devs"),
        (Why.OTHER, "", (), ""),
    ],
)
def test_why_it_is_there(why: Why, of: str, services: tuple[str, ...], told: str) -> None:
    assert applications.because(environment.Member(app(), why, of, services)) == told


def test_states_have_their_colours() -> None:
    assert applications.tone("Synced") is Tone.GOOD
    assert applications.tone("OutOfSync") is Tone.BAD
    assert applications.tone("Progressing") is Tone.WARNING


def test_the_table_fits_the_terminal() -> None:
    members = [environment.Member(app(), Why.CHILD, "a-very-long-name-of-an-application-that-renders-it")]
    lines = applications.listed(members, width=80)
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("argocd/shop  Synced  Healthy  main@aaaaaaa  on+heal+prune")
    assert "\x1b" not in "".join(lines)
    assert "\x1b" in "".join(applications.listed(members, color=True))


def test_changes_are_told_a_line_each() -> None:
    raw = samples.raw(syncPolicy={})
    raw["status"]["sync"] = {"status": "OutOfSync", "revision": "b" * 40}
    raw["operation"] = {"sync": {}}
    assert applications.changes(app(), application.read(raw)) == [
        "argocd/shop: Synced -> OutOfSync",
        "argocd/shop: main@aaaaaaa -> main@bbbbbbb",
        "argocd/shop: auto-sync on+heal+prune -> auto-sync off",
        "argocd/shop: sync Succeeded -> sync asked for",
    ]
    assert applications.changes(app(), app()) == []
    assert applications.changes(app(), None) == ["argocd/shop: gone"]
    assert applications.changes(None, app()) == ["argocd/shop: Synced, Healthy, main@aaaaaaa"]
    assert applications.changes(None, None) == []


def test_a_column_that_says_nothing_is_left_out() -> None:
    assert "BECAUSE" not in applications.listed([environment.Member(app(), Why.OTHER)])[0]
