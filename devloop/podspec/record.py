"""The annotation on an injected pod: who it is for, what was changed, and all that is needed to undo it.

Kept as small as that allows, since all annotations of an object share 256 KiB: everything that devloop added has a
name of its own and is found by that, so only what it replaced or removed is written down.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from devloop.podspec import names, outcome

CODE: Final = "DL0804"
VERSION: Final = 1


class Restore(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the pod had before.

    Attributes:
        values: Keys of the app's container that were changed or removed, with their values.
        made: Keys of it that were not there.
        env: Variables that were replaced, by name, as they were written.
        made_env: Variables that were not there.
        empty: Lists and mappings that were there with nothing in them, by their dotted place: `null`, `[]` or `{}`.
    """

    values: dict[str, Any] = {}
    made: tuple[str, ...] = ()
    env: dict[str, Any] = {}
    made_env: tuple[str, ...] = ()
    empty: dict[str, Any] = {}


class Record(msgspec.Struct, frozen=True):
    """The annotation's content.

    Attributes:
        version: Of this form.
        service: The service's name.
        container: The app's container.
        tos: The synced folders.
        supervise: The app runs under the launcher.
        notes: What was changed and why, for people.
        protected: Mounts beneath the synced folders, absolute, which no sync may touch.
        restore: How to undo it.
    """

    service: str
    container: str
    tos: tuple[str, ...]
    supervise: bool
    notes: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    restore: Restore = Restore()
    version: int = VERSION

    def text(self) -> str:
        """Return the annotation's value."""
        return msgspec.json.encode({"version": self.version, **msgspec.structs.asdict(self)}).decode()


def read(pod: outcome.Tree) -> Record | None:
    """Return the record of a checked pod template, or None where it was not injected.

    Raises:
        Refused: The annotation is not one that this devloop can undo.
    """
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    if names.ANNOTATION not in annotations:
        return None
    where = ("metadata", "annotations", names.ANNOTATION)
    hint = "inject the original manifest, or use the devloop that injected this one"
    try:
        found = msgspec.json.decode(annotations[names.ANNOTATION], type=Record)
    except (msgspec.DecodeError, TypeError) as error:
        raise outcome.Refused(
            CODE, f"the annotation {names.ANNOTATION} cannot be read: {error}", hint, where
        ) from error
    if found.version != VERSION:
        raise outcome.Refused(
            CODE, f"the annotation {names.ANNOTATION} is of version {found.version}, not {VERSION}", hint, where
        )
    return found
