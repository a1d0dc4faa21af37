"""Which of many Applications an object belongs to, and which Application belongs to which.

Pure. By the marks of `devloop.argocd.tracking`, checked against what the Applications say that they render: a label
alone proves nothing, and an annotation of an Application that may not be read proves that somebody else has the object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from devloop.argocd import application, kubeapps, tracking

KIND: Final = "Application"
GROUP: Final = "argoproj.io"

Identity: TypeAlias = tuple[str, str, str, str]


class Index:
    """Applications by name, and by what they render.

    Args:
        applications: All that may be read.
        home: The namespace that a tracking annotation without one means.
    """

    def __init__(self, applications: Iterable[application.Application], home: str = kubeapps.HOME) -> None:
        self.applications: Sequence[application.Application] = tuple(applications)
        self.home = home
        self._named: dict[str, list[application.Application]] = {}
        self._listing: dict[Identity, list[application.Application]] = {}
        for one in self.applications:
            self._named.setdefault(one.name, []).append(one)
            for each in one.resources:
                at = (each.group, each.kind, each.namespace, each.name)
                self._listing.setdefault(at, []).append(one)

    def owner(self, raw: application.Raw) -> application.Application | None:
        """Return the Application that an object belongs to, or None where it is none of these.

        Args:
            raw: The object, with `apiVersion` and `kind`.
        """
        listing = self._listing.get(identity(raw), [])
        for mark in tracking.marks(raw):
            named = self._meant(mark)
            sure = [one for one in named if one in listing]
            if sure:
                return sure[0]
            if mark.method is tracking.Method.ANNOTATION:
                return named[0] if len(named) == 1 else None
        # The label may have another name (`application.instanceLabelKey`), and a controller's child has no mark.
        return listing[0] if listing else self._through(raw)

    def parent(self, one: application.Application) -> application.Application | None:
        """Return the app-of-apps that renders an Application."""
        found = self.owner(as_object(one))
        return found if found is not None and found.reference != one.reference else None

    def children(self, one: application.Application) -> list[application.Application]:
        """Return the Applications that one renders."""
        rendered = {(each.namespace or self.home, each.name) for each in one.resources if is_application(each)}
        if not rendered:
            return []
        found = [each for each in self.applications if (each.reference.namespace, each.name) in rendered]
        return [each for each in found if each.reference != one.reference]

    def _meant(self, mark: tracking.Mark) -> list[application.Application]:
        named = self._named.get(mark.name, [])
        if mark.namespace:
            return [one for one in named if one.reference.namespace == mark.namespace]
        at_home = [one for one in named if one.reference.namespace == self.home]
        # Where Argo CD is elsewhere than thought, its Applications still have their names.
        return at_home or named

    def _through(self, raw: application.Raw) -> application.Application | None:
        """Return the Application that renders the object's controller, such as the resource of an operator."""
        metadata = application.mapping(raw, "metadata")
        for each in application.mappings(metadata, "ownerReferences"):
            group = application.text(each, "apiVersion").rpartition("/")[0]
            at = (
                group,
                application.text(each, "kind"),
                application.text(metadata, "namespace"),
                application.text(each, "name"),
            )
            if each.get("controller") and at in self._listing:
                return self._listing[at][0]
        return None


def identity(raw: application.Raw) -> Identity:
    """Return group, kind, namespace and name of an object."""
    metadata = application.mapping(raw, "metadata")
    return (
        application.text(raw, "apiVersion").rpartition("/")[0],
        application.text(raw, "kind"),
        application.text(metadata, "namespace"),
        application.text(metadata, "name"),
    )


def as_object(one: application.Application) -> Mapping[str, object]:
    """Return the object of an Application with the kind that lists, and Argo CD's own API, leave out."""
    return {**one.raw, "apiVersion": kubeapps.VERSION, "kind": KIND}


def is_application(each: application.Resource) -> bool:
    """Say whether a rendered object is itself an Application."""
    return (each.group, each.kind) == (GROUP, KIND)
