"""In which order the ops of one batch are carried out in one root, and which of them cannot be.

The order keeps every intermediate state sensible: what stands in the way goes first, then folders, then files and
links, then everything else that is to be deleted. It is decided from the ops alone (and, where names that differ
only by case are the same, from the managed paths), so it is the same when an interrupted batch is finished from the
journal. The agent's applier carries it out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence

import msgspec

from devloop.core import ops, paths
from devloop.core.entry import Kind


class Order(msgspec.Struct, frozen=True):
    """The ops of a batch by phase, as their indexes. The phases are carried out from first to last.

    Attributes:
        blocking: Deletions that must come before anything is put in their place; deepest first.
        folders: Folders to make; parents first.
        contents: Files and links to put.
        marks: Paths to adopt or to forget; they change nothing on the disk.
        deletions: All other deletions; deepest first.
    """

    blocking: tuple[int, ...]
    folders: tuple[int, ...]
    contents: tuple[int, ...]
    marks: tuple[int, ...]
    deletions: tuple[int, ...]

    def flat(self) -> Iterable[int]:
        """Yield every index in the order of its turn."""
        for phase in (self.blocking, self.folders, self.contents, self.marks, self.deletions):
            yield from phase


def arrange(batch: Sequence[ops.Op], chosen: Iterable[int], *, case_sensitive: bool = True) -> Order:
    """Return the order of one root's ops.

    Args:
        batch: All ops of the batch.
        chosen: Which of them to order: those of one root, without the ones that were dropped. No two of them may
            have the same path.
        case_sensitive: The root tells `a` from `A`, and a composed accent from a decomposed one.
    """
    deletions, folders, contents, marks = [], [], [], []
    for index in chosen:
        op = batch[index]
        if op.action is ops.Action.DELETE:
            deletions.append(index)
        elif op.action is not ops.Action.PUT:
            marks.append(index)
        elif op.entry is not None and op.entry.kind is Kind.FOLDER:
            folders.append(index)
        else:
            contents.append(index)

    def path_of(index: int) -> str:
        return batch[index].path

    deletions.sort(key=lambda index: paths.depth(path_of(index)), reverse=True)
    folders.sort(key=path_of)
    blocking = set()
    if deletions and (folders or contents):
        blocking = _blocking(
            [path_of(index) for index in deletions],
            {path_of(index) for index in folders},
            {path_of(index) for index in contents},
            case_sensitive=case_sensitive,
        )
    return Order(
        blocking=tuple(index for index in deletions if path_of(index) in blocking),
        folders=tuple(folders),
        contents=tuple(contents),
        marks=tuple(marks),
        deletions=tuple(index for index in deletions if path_of(index) not in blocking),
    )


def fold(path: str) -> str:
    """Return the form in which two paths are equal where case and Unicode composition do not count."""
    # Canonical caseless matching, The Unicode Standard, section 3.13, D145.
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def collisions(wanted: Iterable[str], managed: Collection[str], deleted: Collection[str]) -> dict[str, str]:
    """Return the wanted paths that a root which ignores case cannot hold beside the others.

    Args:
        wanted: Paths that a batch puts, in its order: the first of two that collide is kept.
        managed: Paths that are in the root.
        deleted: Those of them that the same batch deletes.

    Returns:
        For each path that cannot be put, the path that it collides with: its own, or that of a folder above it.
    """
    owners: dict[str, str] = {}
    for path in managed:
        if path not in deleted:
            for level in _with_ancestors(path):
                owners.setdefault(fold(level), level)
    found: dict[str, str] = {}
    for path in wanted:
        claims = {fold(level): level for level in _with_ancestors(path)}
        taken = [owners[key] for key, level in claims.items() if owners.get(key, level) != level]
        if taken:
            found[path] = taken[0]
        else:
            owners.update(claims)
    return found


def _blocking(deletions: list[str], folders: set[str], contents: set[str], *, case_sensitive: bool) -> set[str]:
    """Return the deletions that something is put in the place of; `deletions` comes deepest first."""
    above = _ancestors_of(contents | folders)
    folded = set() if case_sensitive else {fold(path) for path in contents | folders | above}
    blocking: set[str] = set()
    # from the top down, so that what lies in a blocking folder is blocking too
    for path in reversed(deletions):
        if (
            path in above
            or (folded and fold(path) in folded)
            or any(level in contents or level in blocking for level in paths.ancestors(path))
        ):
            blocking.add(path)
    return blocking


def _ancestors_of(leaves: set[str]) -> set[str]:
    found: set[str] = set()
    for path in leaves:
        for level in paths.ancestors(path):
            if level in found:
                break
            found.add(level)
    return found


def _with_ancestors(path: str) -> Iterable[str]:
    yield path
    yield from paths.ancestors(path)
