"""What the facts of Argo CD mean for `devloop env`: whether Applications can be read and changed, and what is too much.

Pure. That Argo CD is missing is no failure: everything else of devloop works without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from devloop.doctor import checks, facts, report
from devloop.doctor.report import Level, Line

ARGOCD: Final = "argocd"

_READ_FIX: Final = "bind the Role of config/rbac/argocd there (docs/install-ops.md); only `devloop env` needs it"
_ADMIN_FIX: Final = (
    "keep the environment's Applications in a namespace of its own (Applications in any namespace, and "
    "config/rbac/argocd-patch), or give rights in Argo CD itself and name argocd.server; docs/install-ops.md has both"
)


def check(found: facts.Argocd) -> Iterator[Line]:
    """Yield the checks; none where there is no Argo CD and nobody asks for it."""
    if isinstance(found.there, facts.Unknown):
        yield report.unknown(ARGOCD, "Applications", found.there.reason)
        return
    if found.server:
        text = f"by Argo CD's own API at {found.server}; its rights are Argo CD's"
        yield Line(group=ARGOCD, name="way", level=Level.PASS, text=text)
    elif not found.there and found.asked:
        fix = "check the context; where Argo CD runs in another cluster, name its server as argocd.server"
        text = "the cluster does not know Applications: there is no Argo CD in it"
        yield Line(group=ARGOCD, name="Applications", level=Level.WARN, text=text, fix=fix, code="DL1001")
    if not found.there:
        return
    unread = all(checks.lacking(each.reads) for each in found.homes)
    if unread and not found.asked:
        # A project that says nothing of Argo CD need not be told of rights that it does not use.
        return
    if not found.server:
        yield _reading(found)
    yield from _changing(found)


def _reading(found: facts.Argocd) -> Line:
    readable = [each.namespace for each in found.homes if not checks.lacking(each.reads) and not _unsure(each)]
    if readable:
        text = f"may be read in {' and '.join(readable)}"
        return Line(group=ARGOCD, name="Applications", level=Level.PASS, text=text)
    unsure = [right for each in found.homes for right in checks.unanswered(each.reads)]
    if unsure:
        assert isinstance(unsure[0].allowed, facts.Unknown)
        return report.unknown(ARGOCD, "Applications", f"whether they may be read: {unsure[0].allowed.reason}")
    denied = [right for each in found.homes for right in checks.lacking(each.reads)]
    places = " or ".join(each.namespace for each in found.homes)
    return Line(
        group=ARGOCD,
        name="Applications",
        level=Level.WARN,
        text=f"you may not {checks.told(denied[:3])} in {places}, so `devloop env` sees nothing",
        fix=_READ_FIX,
        details=tuple(each.can_i for each in denied),
    )


def _unsure(home: facts.Home) -> bool:
    return bool(checks.unanswered(home.reads))


def _changing(found: facts.Argocd) -> Iterator[Line]:
    allowed = [each for each in found.homes if each.patch.allowed is True]
    admin = [each for each in allowed if each.is_argocds]
    for each in admin:
        text = (
            f"you may patch Applications in {each.namespace}, Argo CD's own namespace: that reaches their project, "
            "destination and repository, and so amounts to being an administrator of Argo CD"
        )
        yield Line(
            group=ARGOCD, name="changes", level=Level.WARN, text=text, fix=_ADMIN_FIX, details=(each.patch.can_i,)
        )
    narrow = [each.namespace for each in allowed if not each.is_argocds]
    if narrow:
        text = f"may be changed in {' and '.join(narrow)}, within what their AppProject allows"
        yield Line(group=ARGOCD, name="changes", level=Level.PASS, text=text)
    elif not admin and not found.server and not all(checks.lacking(each.reads) for each in found.homes):
        text = "may not be changed: `env list`, `status` and `open` work, what switches or syncs does not"
        yield Line(group=ARGOCD, name="changes", level=Level.PASS, text=text)
