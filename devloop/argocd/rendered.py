"""From an Application to the file of the templates checkout in which a workload is written.

Found by what renders the source: a plain folder's manifests, a kustomization's resources and patches, a chart's
templates and values. Where the file cannot be told, it is the folder, with the reason. Reads files of the checkout, and
asks helm; blocks: call it in a thread.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import msgspec

from devloop.argocd import application, charts, checkout, kustomizations, manifestfiles
from devloop.argocd.application import Generator
from devloop.argocd.kustomizations import Wanted
from devloop.argocd.manifestfiles import Place, Tree


class Located(msgspec.Struct, frozen=True):
    """Where a workload is written.

    Attributes:
        folder: The source's folder in the checkout.
        files: The files with it; several where it cannot be told which.
        changed_by: What changes it on the way: patches of overlays.
        values: The values that it is made from.
        why: Why there is no file, or more than one; empty where there is exactly one.
    """

    folder: str = ""
    files: tuple[Place, ...] = ()
    changed_by: tuple[Place, ...] = ()
    values: tuple[str, ...] = ()
    why: str = ""


def locate(clone: checkout.Clone, one: application.Application, wanted: Wanted) -> Located:
    """Find a workload in the clone.

    Args:
        clone: The templates checkout.
        one: The Application that owns the workload.
        wanted: The workload.
    """
    tree = Tree(clone.top)
    ours = [source for source in one.sources if source.is_git and checkout.remote_of(clone, source.repo)]
    if not ours and not _lends(one, clone):
        return Located(why=f"{clone.top} is no clone of {' or '.join(_repos(one))}")
    references = {source.ref: source.path for source in ours if source.ref}
    found = Located()
    for source in one.sources:
        if source.chart:
            values = charts.values_files(tree, "", _value_files(source), references)
            each = Located(values=values, why=f"it is made by the chart {source.chart} of {source.repo}")
        elif source in ours and source.path:
            each = _in_source(tree, one, source, wanted, references)
        else:
            continue
        if each.files:
            return each
        found = found if found.folder or found.values else each
    return found


def _lends(one: application.Application, clone: checkout.Clone) -> bool:
    return any(checkout.remote_of(clone, source.repo) for source in one.sources)


def _repos(one: application.Application) -> Sequence[str]:
    return list(dict.fromkeys(source.repo for source in one.sources if source.is_git)) or ["any of its repositories"]


def _value_files(source: application.Source) -> list[str]:
    return [str(each) for each in application.items(application.mapping(source.raw, "helm"), "valueFiles")]


def _in_source(
    tree: Tree, one: application.Application, source: application.Source, wanted: Wanted, references: dict[str, str]
) -> Located:
    folder = tree.within("", source.path)
    if folder is None or not tree.is_folder(folder):
        return Located(why=f"the checkout has no folder {source.path}")
    match _generator(tree, source, folder):
        case Generator.HELM:
            return _chart(tree, one, source, folder, wanted, references)
        case Generator.KUSTOMIZE:
            return _kustomization(tree, folder, wanted)
        case Generator.PLUGIN:
            return Located(folder, why="a plugin makes its manifests")
        case _:
            return _plain(tree, source, folder, wanted)


def _generator(tree: Tree, source: application.Source, folder: str) -> Generator:
    """Return what renders a folder: what the source says, else what Argo CD finds there, in its order."""
    if source.generator is not None:
        return source.generator
    if charts.is_chart(tree, folder):
        return Generator.HELM
    return Generator.KUSTOMIZE if kustomizations.file_of(tree, folder) else Generator.DIRECTORY


def _plain(tree: Tree, source: application.Source, folder: str, wanted: Wanted) -> Located:
    said = application.mapping(source.raw, "directory")
    include, exclude = application.text(said, "include"), application.text(said, "exclude")
    files = [
        each.place
        for path in tree.files(folder, deep=bool(said.get("recurse")))
        if _is_meant(path[len(folder) :].lstrip("/"), include, exclude)
        for each in tree.manifests(path)
        if (each.kind, each.name) == (wanted.kind, wanted.name)
    ]
    return Located(folder, tuple(files), why=_told(files, wanted))


def _is_meant(path: str, include: str, exclude: str) -> bool:
    return (not include or _matches(path, include)) and not (exclude and _matches(path, exclude))


def _matches(path: str, pattern: str) -> bool:
    # `{a,b}` is one pattern or another, as in Argo CD's globs.
    alternatives = pattern[1:-1].split(",") if pattern.startswith("{") and pattern.endswith("}") else [pattern]
    return any(fnmatch.fnmatchcase(path, each.strip()) for each in alternatives)


def _kustomization(tree: Tree, folder: str, wanted: Wanted) -> Located:
    found = kustomizations.walk(tree, folder, wanted)
    why = _told(found.files, wanted)
    if why and found.remote and not found.files:
        why = f"it may be in {', '.join(found.remote)}, which is not in the checkout"
    return Located(folder, found.files, found.patches, why=why)


def _chart(
    tree: Tree,
    one: application.Application,
    source: application.Source,
    folder: str,
    wanted: Wanted,
    references: dict[str, str],
) -> Located:
    values = charts.values_files(tree, folder, _value_files(source), references)
    files = charts.templates(tree, folder, wanted)
    if len(files) != 1:
        release = application.text(application.mapping(source.raw, "helm"), "releaseName") or one.name
        said = charts.rendered(tree, folder, wanted, release, one.destination, values)
        line = next((each.line for each in files if each.path == said), 0)
        files = (manifestfiles.Place(said, line),) if said else files
    return Located(folder, files, values=values, why=_told(files, wanted))


def _told(files: Sequence[Place], wanted: Wanted) -> str:
    if len(files) == 1:
        return ""
    if files:
        return "one of these; which one cannot be told without rendering"
    return f"no file there has a {wanted.kind} {wanted.name}"
