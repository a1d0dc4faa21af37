"""`devloop install --patch`: what it says, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop.podspec import inject
from tests.unit.cli import clusters
from tests.unit.cli.run import devloop
from tests.unit.inject import fake_cluster


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> fake_cluster.Cluster:
    Path("devloop.yaml").write_text(clusters.PROJECT)
    return clusters.found(monkeypatch)


def test_a_workload_is_patched_and_the_way_back_told(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster
) -> None:
    done = devloop(capsys, "install", "--patch", "web", "--agent-image", "mine:1")
    assert done.status == 0
    assert "deployment/web is patched for web until `devloop down` gives it back, and nothing else does" in done.err
    assert "mine:1" in str(cluster.template)
    again = devloop(capsys, "install", "--patch", "web", "--agent-image", "mine:1")
    assert (again.status, "patched for web already" in again.err) == (0, True)


def test_v_says_what_was_changed(capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster) -> None:
    assert "/app is a volume of its own" in devloop(capsys, "install", "--patch", "web", "-v").err


def test_an_agent_by_the_manifests_is_enough(capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster) -> None:
    assert devloop(capsys, "install", "--patch", "web").status == 0
    del cluster.objects[fake_cluster.LEASE]
    told = devloop(capsys, "install", "--patch", "web")
    assert (told.status, "by its own manifests; nothing was changed" in told.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["web"], "say how the agent is to be installed"),
        (["--patch", "here"], "here has a target on this machine"),
        (["--patch", "labels"], "labels has a selector and no workload"),
        (["--patch", "wbe"], "has no service 'wbe'"),
        (["--patch", "web", "--timeout", "0"], "--timeout"),
    ],
)
def test_what_cannot_be_meant(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster, arguments: list[str], said: str
) -> None:
    told = devloop(capsys, "install", *arguments)
    assert (told.status, said in told.err) == (2, True), told.err
    assert not inject.is_injected(cluster.template)
