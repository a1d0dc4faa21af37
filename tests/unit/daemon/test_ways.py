"""Which way a connection takes: the newest ready pod's agent, its port-forward without one, any agent for hosts."""

from __future__ import annotations

from devloop.ports import way
from tests.unit.daemon import carried


def told(some: object) -> list[tuple[str, str, str, bool]]:
    assert isinstance(some, list | tuple)
    return [(each.by, each.target, each.host, each.settled) for each in some if isinstance(each, way.Way)]


def test_without_a_pod_there_is_no_way() -> None:
    project = carried.Project()
    project.ways.cluster = carried.Cluster()
    assert told(project.ways.to_service("web", 80)) == []
    project.pods = [carried.pod("web-1", terminating=True), carried.pod("web-2", phase="Pending")]
    assert told(project.ways.to_service("web", 80)) == []


def test_the_newest_ready_pod_serves_by_its_agent_where_that_is_linked() -> None:
    project = carried.Project()
    cluster = project.ways.cluster = carried.Cluster()
    project.pods = [
        carried.pod("web-1"),
        carried.pod("web-0", created="0"),
        carried.pod("new", ready=False, created="9"),
    ]
    assert told(project.ways.to_service("web", 80)) == [("port-forward", "web-1", "127.0.0.1", True)]
    assert cluster.asked == [("web-1", False)]
    project.replica().link(carried.Agent())
    assert told(project.ways.to_service("web", 80)) == [("agent", "web-1", "127.0.0.1", True)]
    project.pods.append(carried.pod("web-2", created="2"))
    assert told(project.ways.to_service("web", 80)) == [("port-forward", "web-2", "127.0.0.1", True)]


def test_a_pod_that_is_not_ready_may_refuse_for_now() -> None:
    project = carried.Project()
    project.pods = [carried.pod("web-1", ready=False)]
    assert told(project.ways.to_service("web", 80)) == []
    cluster = project.ways.cluster = carried.Cluster()
    assert told(project.ways.to_service("web", 80)) == [("port-forward", "web-1", "127.0.0.1", False)]
    assert cluster.asked == [("web-1", True)]
    project.replica().link(carried.Agent())
    assert told(project.ways.to_service("web", 80)) == [("agent", "web-1", "127.0.0.1", False)]


def test_on_this_machine_there_is_the_agent_or_nothing() -> None:
    project = carried.Project()
    project.ways.cluster = carried.Cluster()
    assert project.ways.is_local("here") and not project.ways.is_local("web")
    assert told(project.ways.to_service("here", 80)) == []
    project.replica("/t").link(carried.Agent())
    assert told(project.ways.to_service("here", 80)) == [("agent", "/t", "127.0.0.1", True)]


def test_a_host_is_dialled_by_an_agent_of_the_cluster_first() -> None:
    project = carried.Project()
    assert told(project.ways.to_host("db", 5432)) == []
    project.replica("/t").link(carried.Agent())
    assert told(project.ways.to_host("db", 5432)) == [("agent", "/t", "db", True)]
    project.replica().link(carried.Agent())
    cluster = project.ways.cluster = carried.Cluster()
    found = told(project.ways.to_host("db", 5432, confirm=True))
    assert found == [("agent", "web-1", "db", True), ("port-forward", "", "db", True)]
    assert cluster.asked == [("", True)]
