"""Walks a kustomization on this machine: which file has an object, and which patches change it.

Follows `resources`, `bases` and `components` that are folders of the checkout; remote ones are not looked at. Names are
compared as kustomize changes them, by `namePrefix` and `nameSuffix` of every kustomization above.
https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from devloop.argocd.manifestfiles import Place, Tree
from devloop.errors import ConfigError
from devloop.manifests import documents

# The names that kustomize takes, in its order (api/konfig).
FILES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_BELOW: Final = ("resources", "bases", "components")
_MAX_FOLDERS: Final = 500
_REMOTE: Final = re.compile(r".*://|[\w.-]+@|github\.com/")


class Wanted(msgspec.Struct, frozen=True):
    """What is looked for.

    Attributes:
        kind: Its kind.
        name: Its name in the cluster.
    """

    kind: str
    name: str


class Walked(msgspec.Struct, frozen=True):
    """What a walk found.

    Attributes:
        files: Where the object is written.
        patches: What changes it, the nearest to the object first.
        remote: Bases that are elsewhere, where the object may be.
        names: What the object is called on the way.
    """

    files: tuple[Place, ...] = ()
    patches: tuple[Place, ...] = ()
    remote: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def file_of(tree: Tree, folder: str) -> str:
    """Return the kustomization of a folder, or an empty text."""
    return next((path for name in FILES if tree.is_file(path := f"{folder}/{name}")), "")


def walk(tree: Tree, folder: str, wanted: Wanted) -> Walked:
    """Look for an object in what a kustomization renders.

    Args:
        tree: The checkout.
        folder: The kustomization's folder, relative to it.
        wanted: The object.
    """
    return _folder(tree, folder, wanted, set())


def _folder(tree: Tree, folder: str, wanted: Wanted, seen: set[str]) -> Walked:
    file = file_of(tree, folder)
    if not file or folder in seen or len(seen) > _MAX_FOLDERS:
        return Walked()
    seen.add(folder)
    said = tree.document(file)
    inner = _before(wanted, _text(said, "namePrefix"), _text(said, "nameSuffix"))
    if inner is None:
        return Walked()
    files: list[Place] = []
    patches: list[Place] = []
    remote: list[str] = []
    names = {inner.name}
    for name in (name for key in _BELOW for name in _names(said, key)):
        path = None if _REMOTE.match(name) else tree.within(folder, name)
        if path is None:
            remote.append(name)
        elif tree.is_folder(path):
            found = _folder(tree, path, inner, seen)
            files += found.files
            patches += found.patches
            remote += found.remote
            # A patch may also name what the object was called before all changes.
            names |= set(found.names)
        else:
            files += [each.place for each in tree.manifests(path) if (each.kind, each.name) == (inner.kind, inner.name)]
    patches += _patches(tree, folder, said, wanted.kind, names)
    return Walked(tuple(files), tuple(dict.fromkeys(patches)), tuple(remote), tuple(sorted(names)))


def _before(wanted: Wanted, prefix: str, suffix: str) -> Wanted | None:
    """Return what an object was called before a kustomization changed its name; None where the name is another one."""
    name = wanted.name
    if not name.startswith(prefix) or not name.endswith(suffix) or len(name) <= len(prefix) + len(suffix):
        return None
    return Wanted(wanted.kind, name[len(prefix) : len(name) - len(suffix)])


def _patches(tree: Tree, folder: str, said: dict[str, Any], kind: str, names: set[str]) -> Iterator[Place]:
    file = file_of(tree, folder)
    listed = [each for key in ("patches", "patchesJson6902") for each in _items(said, key)]
    listed += [{"path": each} for each in _names(said, "patchesStrategicMerge")]
    for each in listed:
        if not isinstance(each, dict):
            continue
        path = tree.within(folder, str(each["path"])) if each.get("path") else None
        target = each.get("target")
        if isinstance(target, dict):
            if _is_target(target, kind, names):
                yield Place(path or file)
        elif path is not None and tree.is_file(path):
            yield from (one.place for one in tree.manifests(path) if one.kind == kind and one.name in names)
        elif _is_inline(str(each.get("patch") or each.get("path") or ""), kind, names):
            yield Place(file)


def _is_target(target: dict[str, Any], kind: str, names: set[str]) -> bool:
    """Say whether a patch's target is the object: kind and name are regular expressions of the whole word."""
    try:
        kinds = re.fullmatch(str(target.get("kind") or ".*"), kind)
        return bool(kinds) and any(re.fullmatch(str(target.get("name") or ".*"), name) for name in names)
    except re.error:
        return False


def _is_inline(text: str, kind: str, names: set[str]) -> bool:
    try:
        found = [one.value for one in documents.parse(text, "patch") if isinstance(one.value, dict)]
    except ConfigError:
        return False
    return any(
        each.get("kind") == kind and isinstance(each.get("metadata"), dict) and each["metadata"].get("name") in names
        for each in found
    )


def _items(said: dict[str, Any], key: str) -> list[Any]:
    found = said.get(key)
    return found if isinstance(found, list) else []


def _names(said: dict[str, Any], key: str) -> list[str]:
    return [each for each in _items(said, key) if isinstance(each, str)]


def _text(said: dict[str, Any], key: str) -> str:
    found = said.get(key)
    return found if isinstance(found, str) else ""
