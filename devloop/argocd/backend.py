"""The two ways to Applications, behind one face: the Kubernetes API, and Argo CD's own REST API.

Which one is used is decided by `devloop.argocd.choice`; what is done with Applications knows neither. Both raise the
errors of `ClusterError`, with what may not be done and who can allow it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol, TypeAlias

import msgspec

from devloop.argocd import application

Change: TypeAlias = Mapping[str, Any]
"""One operation of a JSON patch (RFC 6902)."""

Tell: TypeAlias = Callable[[application.Reference, application.Application | None], None]


class SyncAsk(msgspec.Struct, frozen=True):
    """What a sync is to do.

    Attributes:
        revisions: What to sync, one for each source; empty for what the Application says.
        prune: Delete what left git.
        dry_run: Only say what would be done.
        resources: Only these, as `GROUP/KIND/NAMESPACE/NAME`; all where empty.
        options: Sync options, such as `ServerSideApply=true`.
        manifests: Apply these instead of git's: documents of JSON or YAML.
        info: Told with the operation, such as why.
    """

    revisions: tuple[str, ...] = ()
    prune: bool = False
    dry_run: bool = False
    resources: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    info: Mapping[str, str] = {}


class Backend(Protocol):
    """A way to Applications."""

    @property
    def way(self) -> str:
        """What it is, for people: `kubernetes` or `argocd`."""

    async def applications(self) -> Sequence[application.Application]:
        """Return every Application that may be read, of all namespaces that may be read.

        Raises:
            ClusterError: None may be read, or there is no Argo CD (`NotThereError`).
        """

    async def get(self, which: application.Reference) -> application.Application:
        """Return one.

        Raises:
            NotThereError: There is none; with near names.
            ClusterError: It may not be read.
        """

    async def follow(self, which: Sequence[application.Reference], tell: Tell) -> NoReturn:
        """Tell these Applications as they are, and again whenever one has changed, until cancelled.

        A connection that breaks is made anew, after which all of them are told again.

        Args:
            which: At least one.
            tell: Called in the loop's thread; None stands for one that is not there, or not any more.

        Raises:
            ClusterError: They may not be watched.
        """

    async def project(self, name: str, namespace: str) -> application.Raw:
        """Return an AppProject.

        Args:
            name: Its name.
            namespace: Where Argo CD itself is; empty where that is not known.
        """

    async def patch(self, which: application.Reference, changes: Sequence[Change]) -> application.Application:
        """Change single fields, all or none, and only where every `test` among the changes holds.

        Raises:
            ConflictError: A `test` does not hold: somebody else was there.
            ForbiddenError: The user may not.
        """

    async def refresh(self, which: application.Reference, *, hard: bool = False) -> None:
        """Ask Argo CD to compare anew; a hard refresh also renders anew. Does not wait."""

    async def sync(self, which: application.Reference, ask: SyncAsk) -> None:
        """Begin a sync. Does not wait.

        Raises:
            ConflictError: One is running already.
        """

    async def terminate(self, which: application.Reference) -> None:
        """End the sync that runs.

        Raises:
            RefusedError: None runs.
        """

    async def manifests(self, which: application.Reference, revisions: Sequence[str] = ()) -> Sequence[application.Raw]:
        """Return what Argo CD itself renders, where this way can ask for it.

        Raises:
            ClusterError: This way cannot, or rendering failed; with Argo CD's words.
        """
