"""`devloop down`: what it ends, what it says of the rest, and how it ends itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from devloop.cli import stop
from devloop.inject import sessions
from devloop.kube import eviction
from devloop.podspec import devsession
from devloop.state import dirs, identity, lock
from tests.unit.cli import clusters
from tests.unit.cli.run import devloop
from tests.unit.inject import fake_cluster
from tests.unit.inject.test_ending import CLAIMS
from tests.unit.inject.test_lease import ONE


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> fake_cluster.Cluster:
    Path("devloop.yaml").write_text(clusters.PROJECT)
    return clusters.found(monkeypatch)


def installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert devloop(capsys, "install", "--patch", "web").status == 0


def as_bob(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "owner", lambda: "bob@desk")


def test_a_session_is_ended_and_the_proof_told(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster
) -> None:
    installed(capsys)
    done = devloop(capsys, "down")
    assert done.status == 0, done.err
    assert "deployment/web: put back exactly as it was" in done.err
    assert "nothing labelled devloop.dev/session is left in namespace dev" in done.err
    assert cluster.template == fake_cluster.deployment()["spec"]["template"]


def test_with_nothing_to_end_it_proves_that_all_the_same(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster
) -> None:
    done = devloop(capsys, "down", "web")
    assert (done.status, done.out, "is left in namespace dev" in done.err) == (0, "", True)


def test_json(capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster) -> None:
    installed(capsys)
    found = json.loads(devloop(capsys, "down", "-o", "json").out)
    assert (found["ended"], found["left"], found["problems"]) == (["deployment/web"], [], [])
    assert found["looked"] == ["leases", "persistentvolumeclaims", "pods"]


def test_somebody_elses_session_stays_and_is_named(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(capsys)
    as_bob(monkeypatch)
    told = devloop(capsys, "down")
    assert (told.status, "deployment/web is held by" in told.err) == (7, True)
    assert fake_cluster.LEASE in cluster.objects


def test_all_asks_first(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(capsys)
    as_bob(monkeypatch)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    unasked = devloop(capsys, "down", "--all")
    assert (unasked.status, "confirm with --yes" in unasked.err) == (2, True)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    asked: list[str] = []

    def confirm(text: str, **how: bool) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr(click, "confirm", confirm)
    assert devloop(capsys, "down", "--all").status == 2
    assert "end 1 sessions in dev: deployment/web" in asked[0]
    assert fake_cluster.LEASE in cluster.objects
    done = devloop(capsys, "down", "--all", "--yes")
    assert (done.status, fake_cluster.LEASE in cluster.objects) == (0, False), done.err


def test_all_needs_no_project(capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster) -> None:
    installed(capsys)
    Path("devloop.yaml").unlink()
    assert devloop(capsys, "down").status == 2
    assert devloop(capsys, "down", "--all", "-y").status == 0
    assert fake_cluster.LEASE not in cluster.objects


def test_all_and_services_exclude_each_other(capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster) -> None:
    assert devloop(capsys, "down", "--all", "web").status == 2


def test_what_cannot_be_put_back_is_partial(capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster) -> None:
    installed(capsys)
    cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"] = (500, "broken", "InternalError")
    told = devloop(capsys, "down", "--no-wait", "-q")
    assert (told.status, "still in namespace dev: leases/devloop-deployment-web" in told.err) == (3, True), told.err
    assert "broken" in told.err


def test_what_cannot_be_looked_at_is_partial(capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster) -> None:
    no_right = 'User "ann" cannot list resource "persistentvolumeclaims" in API group "" in the namespace "dev"'
    cluster.refused[f"GET {CLAIMS}"] = (403, no_right, "Forbidden")
    told = devloop(capsys, "down")
    assert (told.status, "could not be looked at: persistentvolumeclaims" in told.err) == (3, True)


def test_a_lease_that_cannot_be_understood_is_partial(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster
) -> None:
    strange = ONE.manifest("dev")
    strange["metadata"]["annotations"] = {}
    cluster.put(fake_cluster.LEASE, strange)
    assert devloop(capsys, "down").status == 3


def test_declared_agents_stay(capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster) -> None:
    installed(capsys)
    del cluster.objects[fake_cluster.LEASE]
    told = devloop(capsys, "down")
    assert (told.status, "by its own manifests; that stays" in told.err) == (0, True)


@pytest.mark.parametrize(("flags", "said"), [([], "(--evict evicts it)"), (["--evict"], "is evicted")])
def test_ephemeral_containers(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster, flags: list[str], said: str
) -> None:
    (pod,) = [each for path, each in cluster.objects.items() if path.startswith(fake_cluster.PODS)]
    pod["spec"]["ephemeralContainers"] = [{"name": "devloop-agent-1"}]
    told = devloop(capsys, "down", *flags)
    assert (told.status, said in told.err, "devloop-agent-1" in told.err) == (0, True, True)


def test_an_eviction_that_is_refused_is_partial(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster
) -> None:
    (pod,) = [each for path, each in cluster.objects.items() if path.startswith(fake_cluster.PODS)]
    pod["spec"]["ephemeralContainers"] = [{"name": "devloop-agent-1"}]
    pod["metadata"]["ownerReferences"] = []
    pod["metadata"]["name"] = "web"
    cluster.put(f"{fake_cluster.PODS}/web", pod)
    told = devloop(capsys, "down", "--all", "--yes", "--evict")
    assert (told.status, "has no controller" in told.err) == (3, True), told.err


def test_a_watch_of_this_project_is_ended_first(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(stop, "end", lambda settings, *, force: ended.append(force))
    assert devloop(capsys, "down").status == 0
    with lock.ProjectLock(dirs.project(".").lock, "."):
        devloop(capsys, "down", "web")
        assert ended == []
        devloop(capsys, "down")
    assert ended == [False]


def test_sessions_of_the_admission_rung_are_ended_too(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, list[str], bool]] = []
    waited: list[list[str]] = []

    async def end(
        api: object, namespace: str, owner: str, workloads: list[devsession.Workload], *, everyone: bool
    ) -> sessions.Ended:
        asked.append((namespace, [f"{each.kind}/{each.name}" for each in workloads], everyone))
        done = eviction.Evicted("web-1", eviction.End.EVICTED)
        kept = eviction.Evicted("web-2", eviction.End.FORBIDDEN_NOW, "the budget web allows no disruption")
        return sessions.Ended(("deployment-web",), (done, kept), ("deployment-api of bob@desk",))

    async def gone(api: object, namespace: str, names: list[str]) -> None:
        waited.append(names)

    monkeypatch.setattr(sessions, "end_sessions", end)
    monkeypatch.setattr(sessions, "until_gone", gone)
    done = devloop(capsys, "down")
    assert asked == [("dev", ["Deployment/web"], False)]
    assert waited == [["web-1"]]
    assert done.status == 3
    assert "session deployment-web is ended" in done.err
    assert "pod web-2 keeps the agent: the budget web allows no disruption" in done.err
    assert "session deployment-api of bob@desk stays" in done.err


def keeps(capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster) -> None:
    """Have a session with a claim, and a claim of somebody else."""
    Path("devloop.yaml").write_text(clusters.PROJECT.replace("sync:", "persist: [/cache], sync:", 1))
    installed(capsys)
    theirs = {"labels": {"devloop.dev/session": "x"}, "annotations": {"devloop.dev/owner": "bob@desk"}}
    cluster.put(f"{CLAIMS}/devloop-theirs", {"metadata": theirs})


def test_claims_go_with_the_session_and_others_stay(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster
) -> None:
    keeps(capsys, cluster)
    done = devloop(capsys, "down")
    assert done.status == 0, done.err
    assert "the claim devloop-web is deleted, with what was kept in it" in done.err
    assert [path for path in cluster.objects if path.startswith(CLAIMS)] == [f"{CLAIMS}/devloop-theirs"]


def test_claims_are_kept_when_that_is_asked_for_and_go_with_the_next_down(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster
) -> None:
    keeps(capsys, cluster)
    done = devloop(capsys, "down", "--keep-volumes", "-o", "json")
    told = json.loads(done.out)
    assert (done.status, told["kept"]) == (0, ["devloop-web"]), done.err
    assert "the claim devloop-web is kept" in done.err
    assert f"{CLAIMS}/devloop-web" in cluster.objects and fake_cluster.LEASE not in cluster.objects
    assert devloop(capsys, "down").status == 0
    assert f"{CLAIMS}/devloop-web" not in cluster.objects


def test_all_ends_everybodys_claims_and_asks_first(
    capsys: pytest.CaptureFixture[str], cluster: fake_cluster.Cluster
) -> None:
    keeps(capsys, cluster)
    unasked = devloop(capsys, "down", "--all")
    assert unasked.status == 2 and "delete 2 claims with what is in them: devloop-web" in unasked.err, unasked.err
    assert "devloop-theirs (bob@desk)" in unasked.err
    assert len([path for path in cluster.objects if path.startswith(CLAIMS)]) == 2
    assert devloop(capsys, "down", "--all", "--yes").status == 0
    assert [path for path in cluster.objects if path.startswith(CLAIMS)] == []
