"""Which cluster, which services."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop import errors
from devloop.cli import clustered, options
from devloop.config import load
from devloop.kube import config
from tests.unit.cli import clusters


@pytest.fixture
def project() -> load.Project:
    Path("devloop.yaml").write_text(clusters.PROJECT.replace("services:", "context: dev\nnamespace: mine\nservices:"))
    return load.load(str(Path("devloop.yaml").resolve()))


def test_the_project_says_which_cluster(project: load.Project) -> None:
    assert clustered.choice(options.Settings(), project) == config.Choice(
        context="dev", project_context="dev", project_namespace="mine"
    )


def test_the_command_line_goes_first(project: load.Project) -> None:
    found = clustered.choice(options.Settings(kubeconfig="k", context="c", namespace="n"), project)
    assert found == config.Choice("k", "c", "n", "dev", "mine")


def test_without_a_project_the_command_line_is_all() -> None:
    assert clustered.choice(options.Settings(namespace="n"), None) == config.Choice(namespace="n")


def test_the_services_in_a_cluster(project: load.Project) -> None:
    assert list(clustered.in_cluster(project, ())) == ["web", "labels"]
    assert list(clustered.in_cluster(project, ("web",))) == ["web"]
    with pytest.raises(errors.UsageError, match="here has a target on this machine"):
        clustered.in_cluster(project, ("here",))


async def test_a_connection_is_of_the_kubeconfig_that_is_named(project: load.Project) -> None:
    Path("kubeconfig").write_text(
        "{apiVersion: v1, kind: Config, current-context: dev, contexts: [{name: dev, context: {cluster: c, user: u}}],"
        " clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: u, user: {token: t}}]}"
    )
    async with clustered.connection(options.Settings(kubeconfig="kubeconfig"), project) as api:
        assert (api.cluster.server, api.namespace) == ("https://127.0.0.1:1", "mine")
