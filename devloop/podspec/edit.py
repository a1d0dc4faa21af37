"""Changes to a pod template that can be undone.

`Edits` works on a copy that the caller owns, and remembers whatever it overwrites; `undo` puts it back. What was
added is found again by its name, so what others changed in the meantime stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devloop.podspec import names, outcome, record


class Edits:
    """Changes a pod template, and remembers how to undo it.

    Args:
        pod: The template to change.
        index: The app's container.
    """

    def __init__(self, pod: outcome.Tree, index: int) -> None:
        self.pod = pod
        self.app: outcome.Tree = pod["spec"]["containers"][index]
        self._values: dict[str, Any] = {}
        self._made: list[str] = []
        self._env: dict[str, Any] = {}
        self._made_env: list[str] = []
        self._empty: dict[str, Any] = {}

    def set(self, key: str, value: Any) -> None:
        """Give the app's container a value."""
        if key not in self.app:
            self._made.append(key)
        elif self.app[key] != value:
            self._values[key] = self.app[key]
        self.app[key] = value

    def drop(self, key: str) -> None:
        """Take a value from the app's container."""
        self._values[key] = self.app.pop(key)

    def set_env(self, name: str, value: str) -> bool:
        """Add or replace a variable of the app's container, and say whether there was one.

        Of several with one name Kubernetes takes the last, so that is the one to replace.
        """
        env = self._extend(self.app, "env", "app.env", ())
        entry = {"name": name, "value": value}
        for index in reversed(range(len(env))):
            if env[index]["name"] == name:
                self._env[name] = env[index]
                env[index] = entry
                return True
        env.append(entry)
        self._made_env.append(name)
        return False

    def mount(self, mounts: Sequence[outcome.Tree]) -> None:
        """Add mounts to the app's container."""
        self._extend(self.app, "volumeMounts", "app.volumeMounts", mounts)

    def extend(self, key: str, items: Sequence[outcome.Tree]) -> None:
        """Append to a list of the pod's spec."""
        self._extend(self.pod["spec"], key, f"spec.{key}", items)

    def annotate(self, make: record.Record) -> None:
        """Write the record, completed with how to undo all this, into the annotation."""
        metadata = self._hold(self.pod, "metadata", "metadata")
        annotations = self._hold(metadata, "annotations", "annotations")
        restore = record.Restore(self._values, tuple(self._made), self._env, tuple(self._made_env), self._empty)
        annotations[names.ANNOTATION] = record.Record(
            service=make.service,
            container=make.container,
            tos=make.tos,
            supervise=make.supervise,
            notes=make.notes,
            protected=make.protected,
            restore=restore,
        ).text()

    def _hold(self, holder: outcome.Tree, key: str, where: str) -> outcome.Tree:
        if not holder.get(key):
            if key in holder:
                self._empty[where] = holder[key]
            holder[key] = {}
        held = holder[key]
        assert isinstance(held, dict)
        return held

    def _extend(self, holder: outcome.Tree, key: str, where: str, items: Sequence[outcome.Tree]) -> list[Any]:
        if not holder.get(key):
            if key in holder:
                self._empty.setdefault(where, holder[key])
            holder[key] = []
        held = holder[key]
        assert isinstance(held, list)
        held.extend(items)
        return held


def undo(pod: outcome.Tree, told: record.Record) -> None:
    """Take everything out of a pod template that the record tells of, in place.

    Args:
        pod: A checked template, a copy that the caller owns.
        told: Its record.
    """
    spec, empty = pod["spec"], told.restore.empty
    for app in spec["containers"]:
        # By its mounts too: somebody may have renamed it since.
        if app["name"] == told.container or _mounts_ours(app):
            _undo_app(app, told)
    for key in ("containers", "initContainers", "volumes"):
        kept = [item for item in spec.get(key) or [] if not names.is_ours(item["name"])]
        _put(spec, key, kept, f"spec.{key}", empty)
    annotations = pod["metadata"]["annotations"]
    kept_notes = {key: value for key, value in annotations.items() if key != names.ANNOTATION}
    _put(pod["metadata"], "annotations", kept_notes, "annotations", empty)
    if not pod["metadata"]:
        del pod["metadata"]
    if "metadata" in empty and "metadata" not in pod:
        pod["metadata"] = empty["metadata"]


def _mounts_ours(container: outcome.Tree) -> bool:
    if names.is_ours(container["name"]):
        return False
    return any(names.is_ours(mount["name"]) for mount in container.get("volumeMounts") or [])


def _undo_app(app: outcome.Tree, told: record.Record) -> None:
    restore = told.restore
    foreign = _keys_of_others(app, restore)
    for key in restore.made:
        if key not in foreign:
            app.pop(key, None)
    app.update({key: value for key, value in restore.values.items() if key not in foreign})
    mounts = [mount for mount in app.get("volumeMounts") or [] if not names.is_ours(mount["name"])]
    _put(app, "volumeMounts", mounts, "app.volumeMounts", restore.empty)
    _put(app, "env", _env(app.get("env") or [], restore), "app.env", restore.empty)


def _keys_of_others(app: outcome.Tree, restore: record.Restore) -> set[str]:
    """Return the keys that somebody gave other values since: a command that is not the launcher's, a new probe."""
    foreign: set[str] = {key for key in ("livenessProbe", "startupProbe") if key in restore.values and key in app}
    touched = {*restore.values, *restore.made}
    if "command" in touched and (app.get("command") or [""])[0] != names.BUSYBOX:
        foreign |= {"command", "args"}
    return foreign


def _env(env: Sequence[outcome.Tree], restore: record.Restore) -> list[outcome.Tree]:
    kept = []
    waiting: Mapping[str, Any] = dict(restore.env)
    made = set(restore.made_env)
    for entry in reversed(env):
        name = entry["name"]
        if name in waiting:
            kept.append(waiting[name])
            waiting = {key: value for key, value in waiting.items() if key != name}
        elif name in made:
            made.discard(name)
        else:
            kept.append(entry)
    return kept[::-1]


def _put(holder: outcome.Tree, key: str, value: Any, where: str, empty: Mapping[str, Any]) -> None:
    """Set a value; where nothing is left of it, what was there at first. What was empty all the time stays."""
    if not value and not holder.get(key):
        return
    if value:
        holder[key] = value
    elif where in empty:
        holder[key] = empty[where]
    else:
        holder.pop(key, None)
