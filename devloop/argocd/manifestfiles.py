"""The manifests in the files of a folder on this machine: which of them is the one with a given kind and name.

Reads files, small ones only and never through a link that leads out of the checkout. What is no YAML (templates, notes)
has no manifests, which is no error here. Blocks: call it in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.manifests import documents

SUFFIXES: Final = (".yaml", ".yml", ".json")

# A folder of templates has hundreds of files; what has more is no folder of templates.
MAX_FILES: Final = 5000
_MAX_BYTES: Final = 1024 * 1024


class Place(msgspec.Struct, frozen=True):
    """Where something is written.

    Attributes:
        path: Relative to the checkout.
        line: 1-based; 0 for the whole file.
    """

    path: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


class Manifest(msgspec.Struct, frozen=True):
    """One object in a file.

    Attributes:
        kind: Its kind.
        name: Its name; empty where the manifest has none.
        place: Where it is.
        value: The whole of it.
    """

    kind: str
    name: str
    place: Place
    value: Any


class Tree(msgspec.Struct, frozen=True):
    """A checkout.

    Attributes:
        root: Its folder; absolute, without links.
    """

    root: str

    def within(self, base: str, name: str) -> str | None:
        """Return the path below the root that a name means, or None where it leads out of it.

        Args:
            base: The folder that the name is relative to, itself relative to the root.
            name: As it is written; from the root where it begins with a slash.
        """
        below = name.lstrip("/") if name.startswith("/") else os.path.join(base, name)
        path = os.path.realpath(os.path.join(self.root, below))
        if path != self.root and not path.startswith(self.root + os.sep):
            return None
        return os.path.relpath(path, self.root)

    def is_folder(self, path: str) -> bool:
        """Say whether a path is a folder."""
        return os.path.isdir(os.path.join(self.root, path))

    def is_file(self, path: str) -> bool:
        """Say whether a path is a file."""
        return os.path.isfile(os.path.join(self.root, path))

    def files(self, folder: str, *, deep: bool, suffixes: tuple[str, ...] = SUFFIXES) -> Iterator[str]:
        """Yield the files of a folder, in order.

        Args:
            folder: Relative to the root.
            deep: Those of its folders as well.
            suffixes: How their names end.
        """
        count = 0
        for where, folders, names in os.walk(os.path.join(self.root, folder)):
            folders[:] = sorted(name for name in folders if name != ".git") if deep else []
            for name in sorted(names):
                if name.endswith(suffixes):
                    count += 1
                    if count > MAX_FILES:
                        return
                    yield os.path.relpath(os.path.join(where, name), self.root)

    def text(self, path: str) -> str:
        """Return what is in a file; nothing where it cannot be read, is large, or leads out of the checkout."""
        whole = os.path.join(self.root, path)
        if self.within("", path) is None:
            return ""
        try:
            if not os.path.isfile(whole) or os.path.getsize(whole) > _MAX_BYTES:
                return ""
            with open(whole, encoding="utf-8") as opened:
                return opened.read()
        except (OSError, UnicodeDecodeError):
            return ""

    def manifests(self, path: str) -> list[Manifest]:
        """Return the objects in a file, those in lists included."""
        try:
            found = documents.parse(self.text(path), path)
        except errors.ConfigError:
            return []
        return [each for one in found for each in _objects(one, one.value, (), path)]

    def document(self, path: str) -> dict[str, Any]:
        """Return the first document of a file that is a mapping, or an empty one."""
        try:
            found = documents.parse(self.text(path), path)
        except errors.ConfigError:
            return {}
        return next((one.value for one in found if isinstance(one.value, dict)), {})


def _objects(one: documents.Document, value: Any, loc: tuple[str | int, ...], path: str) -> Iterator[Manifest]:
    if not isinstance(value, dict):
        return
    kind, items = str(value.get("kind") or ""), value.get("items")
    if kind.endswith("List") and isinstance(items, list):
        for at, item in enumerate(items):
            yield from _objects(one, item, (*loc, "items", at), path)
        return
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if kind:
        line = documents.place_of(documents.find(one.node, loc)).line
        yield Manifest(kind, str(name or ""), Place(path, line), value)
