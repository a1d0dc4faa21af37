"""Who else writes an Application, and what becomes of a change that devloop makes to it.

Pure: from the Application and what `devloop.argocd.surroundings` found around it to findings with their evidence, a
verdict, and the YAML that Ops must add where that is the fix. The values are those of `devloop.argocd.findings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from devloop.argocd import application, findings, makers, promoters

POLICY: Final = "/spec/syncPolicy/automated"

_REVISION: Final = "/targetRevision"
_REPO: Final = "/repoURL"


def verdict(
    one: application.Application,
    around: findings.Surroundings,
    changed: Sequence[str] | None = None,
    annotations: Sequence[str] = (),
) -> findings.Verdict:
    """Say what becomes of a change to an Application.

    Args:
        one: The Application.
        around: From `surroundings.look`.
        changed: The fields that are to be changed, as JSON pointers (RFC 6901), such as those of `revisions`; by
            default the revision of every git source, and auto-sync.
        annotations: Annotations that are set with the change and have to stay: an ApplicationSet removes what is not
            in its template.
    """
    fields = tuple(changed) if changed is not None else (*revisions(one), POLICY)
    change = findings.Change(fields, tuple(annotations))
    moves = any(field.endswith((_REVISION, _REPO)) for field in fields)
    found = (
        *makers.of_set(one, around, change),
        *makers.of_parent(one, around, change),
        *promoters.kargo(one, moves),
        *promoters.image_updater(one, around, moves),
        *promoters.hydrator(one, moves),
        *promoters.promoter(one, around, moves),
        *promoters.telefonistka(one, moves),
        *promoters.codefresh(one),
    )
    return findings.Verdict(findings.worst(found), found, around.unseen)


def revisions(one: application.Application) -> tuple[str, ...]:
    """Return where the revisions of an Application's git sources are, as JSON pointers, in their order."""
    if one.hydrated:
        return (f"/spec/sourceHydrator/drySource{_REVISION}",)
    if not one.is_multi:
        return tuple(f"/spec/source{_REVISION}" for source in one.sources if source.is_git)
    return tuple(f"/spec/sources/{at}{_REVISION}" for at, source in enumerate(one.sources) if source.is_git)
