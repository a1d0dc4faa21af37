"""What is looked at before an Application is switched: the branch, the project's permission, the owners.

Everything here reads. What it finds is told as problems, so that a person hears of all of them at once; whoever
switches decides whether one of them ends it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from devloop import errors
from devloop.argocd import application, backend, findings, git, gitref, lease, owners, projects, switching

NO_BRANCH = "DL1025"
NOT_ALLOWED = "DL1026"
OWNED = "DL1027"


class Problem(msgspec.Struct, frozen=True):
    """One thing that speaks against a switch.

    Attributes:
        message: What.
        hint: What to do.
        code: See `errors.DevloopError`.
        is_final: A switch would fail or be undone; else it only has to be known.
    """

    message: str
    hint: str = ""
    code: str = OWNED
    is_final: bool = True


class Revision(msgspec.Struct, frozen=True):
    """Where a branch is.

    Attributes:
        repo: The repository, as the Application is to name it.
        commit: What the branch points to; empty where it is not known.
    """

    repo: str
    commit: str


async def branches(
    changes: Sequence[tuple[application.Application, lease.Entry]], asked: switching.Switch, templates: str
) -> tuple[list[Revision], list[Problem]]:
    """Look for the branch in every repository that Applications are to follow it in.

    Args:
        changes: The Applications and what is changed in each.
        asked: The branch.
        templates: The templates checkout; empty where there is none.
    """
    found: dict[gitref.Repository, Revision] = {}
    problems: list[Problem] = []
    known = await git.remotes(templates) if templates else {}
    for one, entry in changes:
        for repo in _repos(one, entry, asked):
            key = gitref.parse(repo)
            if key in found:
                continue
            # the checkout may reach it by another address, with the login that works there
            url = next((each for each in known.values() if gitref.same(each, repo)), repo)
            commit = ""
            try:
                commit = (
                    asked.branch
                    if gitref.is_commit(asked.branch)
                    else await git.commit_of(url, asked.branch, templates)
                )
            except errors.LocalError as error:
                problems.append(
                    Problem(
                        f"whether {repo} has {asked.branch} cannot be found out: {error.message}",
                        f"{error.hint}; --unchecked goes on without knowing",
                        NO_BRANCH,
                    )
                )
            else:
                if not commit:
                    problems.append(
                        Problem(
                            f"{repo} has no branch or tag {asked.branch}",
                            f"push it first: `git push -u origin {asked.branch}`",
                            NO_BRANCH,
                        )
                    )
            found[key] = Revision(repo, commit)
    return list(found.values()), problems


async def permitted(
    apps: backend.Backend, changes: Sequence[tuple[application.Application, lease.Entry]], home: str
) -> list[Problem]:
    """Ask the AppProjects whether they let their Applications have a fork.

    Args:
        apps: The way to them.
        changes: The Applications and what is changed in each.
        home: The namespace of Argo CD itself.
    """
    problems = []
    for one, entry in changes:
        for repo in [str(each.new) for each in entry.fields if each.path.endswith("/repoURL")]:
            try:
                allowed = projects.allows(await apps.project(one.project, home), repo)
            except (errors.ForbiddenError, errors.NotThereError) as error:
                words = f"whether the project {one.project} allows {repo} cannot be seen: {error.message}"
                problems.append(Problem(words, error.hint, NOT_ALLOWED, is_final=False))
                continue
            if not allowed:
                problems.append(
                    Problem(
                        f"the project {one.project} of {one.reference} does not allow {repo}",
                        f"ask Ops to add it to spec.sourceRepos of the AppProject {one.project}",
                        NOT_ALLOWED,
                    )
                )
    return problems


def owned(
    changes: Sequence[tuple[application.Application, lease.Entry]], around: findings.Surroundings, pointer: str
) -> list[Problem]:
    """Return what others will do to the changes, with the YAML that would make them safe.

    Args:
        changes: The Applications and what is changed in each.
        around: What is around them.
        pointer: The annotation that is set with a change.
    """
    problems = []
    for one, entry in changes:
        verdict = owners.verdict(one, around, [each.path for each in entry.fields], [pointer])
        for each in verdict.findings:
            if each.answer is findings.Answer.FINE:
                continue
            fix = f"Ops can allow it by this in {each.where}:\n{each.fix}" if each.fix else ""
            problems.append(
                Problem(
                    f"{one.reference} is owned by {each.kind} {each.name}: {each.why} ({each.evidence})",
                    fix,
                    OWNED,
                    is_final=each.answer is findings.Answer.REFUSE,
                )
            )
    return problems


def _repos(one: application.Application, entry: lease.Entry, asked: switching.Switch) -> list[str]:
    """Return the repositories that the changed sources are of, after the change."""
    found = []
    for each in entry.fields:
        if not each.path.endswith("/targetRevision"):
            continue
        at = each.path.split("/")
        index = int(at[3]) if at[2] == "sources" else 0
        found.append(asked.repo or one.sources[index].repo)
    return found or ([asked.repo] if asked.repo else [])
