"""What the end-to-end tests share: the cluster, the images, a namespace each, an honest count of what was skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e import cluster, loop, space

HERE: Final = Path(__file__).parent

# What a skip's reason begins with, for the count at the end.
TOO_OLD: Final = "needs Kubernetes >="
CASE_S: Final = 180.0
FAILED: Final = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is e2e, and must say so to be chosen; disruptive cases come last."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
        # not for the fixtures: the first of them may have to build a cluster, and their commands have own deadlines
        item.add_marker(pytest.mark.timeout(CASE_S, func_only=True))
    items.sort(key=lambda item: item.get_closest_marker("disruptive") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember failures: a namespace then tells what was in it."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def whole() -> Iterator[cluster.Cluster]:
    """The cluster, up; in the end nothing of this run is left on it."""
    found = cluster.Cluster.up()
    yield found
    space.until_gone(found)


@pytest.fixture(autouse=True)
def fits(request: pytest.FixtureRequest, whole: cluster.Cluster) -> None:
    """Skip what this cluster cannot do: cases for newer versions, and taking apart what is not ours."""
    for mark in request.node.iter_markers("kube"):
        least = cluster.Version.parse(mark.kwargs["min"])
        if whole.version < least:
            pytest.skip(f"{TOO_OLD} {least}, and this is {whole.version}")
    if request.node.get_closest_marker("disruptive"):
        if not whole.own:
            pytest.skip("stops parts of the cluster, which is not ours to stop")
        if os.environ.get("DEVLOOP_E2E_SHARED"):
            pytest.skip("stops parts of the cluster, which others use now (DEVLOOP_E2E_SHARED)")


@pytest.fixture(scope="session")
def agent_image(whole: cluster.Cluster) -> str:
    """The agent's image of this tree, on the node."""
    return whole.agent_image()


@pytest.fixture(scope="session")
def app_image(whole: cluster.Cluster) -> str:
    """An image with Python and a shell, on the node."""
    return whole.base_image()


@pytest.fixture
def ns(request: pytest.FixtureRequest, whole: cluster.Cluster, tmp_path: Path) -> Iterator[space.Space]:
    """An empty namespace; deleted in the end, and after a failure described first."""
    with space.created(whole, tmp_path) as made:
        yield made
        if request.node.stash.get(FAILED, False):
            request.node.add_report_section("teardown", "namespace", made.description())


@pytest.fixture
def bench(ns: space.Space, tmp_path: Path, agent_image: str, app_image: str) -> loop.Bench:
    """A project and a Deployment, to be made."""
    return loop.Bench(ns, tmp_path, agent_image, app_image)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count and name what this version of Kubernetes could not show."""
    reasons = [(report.nodeid, str(report.longrepr[2])) for report in terminalreporter.stats.get("skipped", [])]
    old = [(case, reason.removeprefix("Skipped: ")) for case, reason in reasons if TOO_OLD in reason]
    if old:
        terminalreporter.section(f"{len(old)} not shown on this cluster: run them on a newer one")
        for case, reason in old:
            terminalreporter.line(f"{case}: {reason}")
