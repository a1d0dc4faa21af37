"""What speaks against a switch is found before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from devloop import errors
from devloop.argocd import application, backend, findings, lease, preflight, switching
from tests.unit.argocd import samples
from tests.unit.argocd.test_git import repo

__all__ = ["repo"]

FORK = "https://git.example/ann/templates.git"


def changes(asked: switching.Switch, **spec: Any) -> list[tuple[application.Application, lease.Entry]]:
    one = application.read(samples.raw(**spec))
    return [(one, switching.branch_entry(one, asked))]


async def branches(repo: Path, branch: str, templates: str = "") -> tuple[list[str], list[str]]:
    asked = switching.Switch(branch)
    source = {"repoURL": f"file://{repo}", "path": ".", "targetRevision": "other"}
    found, problems = await preflight.branches(changes(asked, source=source), asked, templates)
    return [each.commit for each in found], [each.code for each in problems]


async def test_a_branch_is_looked_for_where_it_will_be_followed(repo: Path, tmp_path: Path) -> None:
    (commit,), problems = await branches(repo, "feature/x")
    assert len(commit) == 40 and problems == []
    assert await branches(repo, "nope") == ([""], ["DL1025"])
    assert await branches(tmp_path / "nowhere", "main") == ([""], ["DL1025"])
    assert await branches(repo, "a" * 40) == (["a" * 40], [])


class Projects:
    """A way to AppProjects only."""

    def __init__(self, *repos: str, error: errors.ClusterError | None = None) -> None:
        self._repos, self._error = repos, error

    async def project(self, name: str, namespace: str) -> application.Raw:
        if self._error is not None:
            raise self._error
        return {"spec": {"sourceRepos": list(self._repos)}}


async def permitted(projects: Projects, asked: switching.Switch) -> list[preflight.Problem]:
    return await preflight.permitted(cast(backend.Backend, projects), changes(asked), "argocd")


async def test_a_fork_must_be_allowed() -> None:
    asked = switching.Switch("x", FORK)
    assert await permitted(Projects("*"), asked) == []
    (problem,) = await permitted(Projects("https://git.example/team/*"), asked)
    assert (problem.code, problem.is_final) == ("DL1026", True)
    # what cannot be seen is said, and does not stop: Argo CD decides in the end
    (problem,) = await permitted(Projects(error=errors.ForbiddenError("no")), asked)
    assert not problem.is_final
    assert await permitted(Projects(), switching.Switch("x")) == []


@pytest.mark.parametrize("owned", [True, False])
def test_owners_are_told_with_what_ops_can_do(owned: bool) -> None:
    raw = samples.raw()
    if owned:
        raw["metadata"]["ownerReferences"] = [{"kind": "ApplicationSet", "name": "envs", "controller": True}]
    one = application.read(raw)
    entry = switching.branch_entry(one, switching.Switch("x"))
    made_by = {"metadata": {"name": "envs", "namespace": "argocd"}, "spec": {"template": {}}}
    around = findings.Surroundings(applications=[one], sets=[made_by])
    problems = preflight.owned([(one, entry)], around, lease.Kind.BRANCH.pointer)
    assert [(each.code, each.is_final) for each in problems] == [("DL1027", True)] * owned
    assert all("ignoreApplicationDifferences" in each.hint for each in problems)
