"""Which fields of an Application a branch or a pause changes, and the patches there and back.

Pure. Every patch tests what it replaces, so that it is carried out whole on the very state that was looked at, or not
at all. A patch back tests in addition that the Application still points at the lease: whoever took it over, or changed
the branch by hand, has the last word.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.argocd import application, backend, gitref, lease

_WHICH: Final = "DL1021"


class Standing(enum.StrEnum):
    """How an Application stands to a lease on it."""

    OURS = "ours"
    """It is as the lease made it: it can be put back."""
    UNTOUCHED = "untouched"
    """It is as it was before: the change was never made, or was undone already."""
    FOREIGN = "foreign"
    """Somebody else changed it since: it stays as it is."""
    GONE = "gone"
    """It was deleted, or made anew."""


class Switch(msgspec.Struct, frozen=True):
    """A branch to switch to.

    Attributes:
        branch: Its name.
        repo: A fork's URL; empty where the repository stays.
        of: The repository whose sources are meant, where there are several; empty for the only one.
        source: The source that is meant: its name, or its number from 1; empty for those of the repository.
    """

    branch: str
    repo: str = ""
    of: str = ""
    source: str = ""


def branch_entry(one: application.Application, asked: Switch) -> lease.Entry:
    """Return what a switch changes in an Application; no fields where it is on that branch already.

    Raises:
        UsageError: It has no git source, or it is not clear which one is meant.
    """
    fields: list[lease.Field] = []
    for index in _meant(one, asked):
        source = one.sources[index]
        base = _base(one, index)
        repo = asked.repo if asked.repo and not gitref.same(asked.repo, source.repo) else ""
        anchor = (repo or source.repo) if one.is_multi else ""
        if source.revision != asked.branch:
            old = source.raw.get("targetRevision")
            fields.append(lease.Field(f"{base}/targetRevision", old, asked.branch, anchor))
        if repo:
            fields.append(lease.Field(f"{base}/repoURL", source.repo, repo))
    return _entry(one, fields)


def pause_entry(one: application.Application) -> lease.Entry:
    """Return what a pause of auto-sync changes in an Application; no fields where auto-sync is off.

    The field is taken away and not set to `enabled: false`, which Argo CD before 3.1 does not know and would drop.
    """
    if one.automated is None:
        return _entry(one, ())
    old = application.mapping(one.raw, "spec", "syncPolicy").get("automated")
    return _entry(one, (lease.Field("/spec/syncPolicy/automated", old, None),))


def merged(held: lease.Entry, fresh: lease.Entry) -> lease.Entry:
    """Return what a lease says of an Application that it has already, and that is to be changed again.

    What is put back in the end is what was there before the first change.

    Args:
        held: What the lease says now.
        fresh: What the new change is, as `branch_entry` told it of the Application as it is now.
    """
    wanted = {each.path: each for each in fresh.fields}
    fields = []
    for each in held.fields:
        new = wanted.pop(each.path, None)
        if new is None or new.new == each.new:
            fields.append(each)
        else:
            earlier = tuple(dict.fromkeys((*each.earlier, each.new)))
            fields.append(lease.Field(each.path, each.old, new.new, new.repo, earlier))
    return msgspec.structs.replace(held, fields=(*fields, *wanted.values()))


def forth(one: application.Application, entry: lease.Entry, pointer: str, held: str) -> list[backend.Change]:
    """Return the patch that makes a change.

    Args:
        one: The Application, as it was looked at, whoever's it was then.
        entry: What to change.
        pointer: The annotation's name.
        held: What it is to say: the lease.
    """
    return _patch(one, entry, {each.path: each.new for each in entry.fields}, pointer, held)


def undo(
    one: application.Application, before: application.Application, entry: lease.Entry, pointer: str
) -> list[backend.Change]:
    """Return the patch that takes a change back which was made a moment ago, as a part of more that failed.

    Args:
        one: The Application since.
        before: It, before the change.
        entry: What was changed.
        pointer: The annotation's name.
    """
    values = {each.path: _value(before.raw, each.path) for each in entry.fields}
    return _patch(one, entry, values, pointer, str(before.annotations.get(pointer, "")))


def _patch(
    one: application.Application, entry: lease.Entry, values: Mapping[str, Any], pointer: str, held: str
) -> list[backend.Change]:
    """Return the patch from an Application as it was looked at to other values and another mark."""
    changes = [_test("/metadata/uid", entry.uid)]
    for path, value in values.items():
        changes += _move(one.raw, path, value)
    was = one.annotations.get(pointer)
    if "annotations" not in application.mapping(one.raw, "metadata"):
        # a test for what is in a mapping that is not there cannot hold
        return [*changes, _test("/metadata/annotations", None), _add("/metadata/annotations", {pointer: held})]
    at = f"/metadata/annotations/{_escaped(pointer)}"
    return [*changes, _test(at, was), _add(at, held) if held else {"op": "remove", "path": at}]


def _move(raw: application.Raw, path: str, value: Any) -> list[backend.Change]:
    """Return the test of a field as it is, and its change."""
    parent, _, key = path.rpartition("/")
    if _value(raw, parent) is None:
        # what was in it alone was taken away, and somebody tidied up the empty rest
        return [_test(parent, None), *([_add(parent, {key: value})] if value is not None else [])]
    now = _value(raw, path)
    return [_test(path, now), *([_put(path, value, was=now)] if value != now else [])]


def back(one: application.Application, entry: lease.Entry, pointer: str, held: str) -> list[backend.Change]:
    """Return the patch that undoes a change; see `forth`."""
    at = f"/metadata/annotations/{_escaped(pointer)}"
    changes: list[backend.Change] = [_test("/metadata/uid", entry.uid), _test(at, held)]
    for each in entry.fields:
        if each.repo:
            changes.append(_test(f"{each.path.rpartition('/')[0]}/repoURL", each.repo))
        changes += _back(one.raw, each)
    return [*changes, {"op": "remove", "path": at}]


def let_go(entry: lease.Entry, pointer: str, held: str) -> list[backend.Change]:
    """Return the patch that takes only the pointer away."""
    at = f"/metadata/annotations/{_escaped(pointer)}"
    return [_test("/metadata/uid", entry.uid), _test(at, held), {"op": "remove", "path": at}]


def standing(one: application.Application | None, entry: lease.Entry, pointer: str, held: str) -> tuple[Standing, str]:
    """Return how an Application stands to a lease on it, and for a foreign one what is different; for people.

    Args:
        one: It, as it is now; None where it is not there.
        entry: What the lease says of it.
        pointer: The annotation's name.
        held: The lease, as the annotation names it.
    """
    if one is None or (entry.uid and one.uid and one.uid != entry.uid):
        return Standing.GONE, ""
    values = [(each, _value(one.raw, each.path)) for each in entry.fields]
    if all(now == each.old for each, now in values):
        return Standing.UNTOUCHED, ""
    for each, now in values:
        moved = each.repo and not gitref.same(
            str(_value(one.raw, f"{each.path.rpartition('/')[0]}/repoURL")), each.repo
        )
        if not each.is_ours(now) or moved:
            return Standing.FOREIGN, f"{each.path} is {_shown(now)}, and this lease had made it {_shown(each.new)}"
    said = one.annotations.get(pointer)
    if said != held:
        words = f"it belongs to the lease {said} now" if said else "somebody took the lease's mark away"
        return Standing.FOREIGN, words
    return Standing.OURS, ""


def holder(one: application.Application, kind: lease.Kind) -> str:
    """Return the lease of a kind that an Application points at, `NAMESPACE/NAME`; empty for none."""
    return str(one.annotations.get(kind.pointer, ""))


def _meant(one: application.Application, asked: Switch) -> list[int]:
    """Return the numbers of the sources that a switch changes."""
    git = [index for index, source in enumerate(one.sources) if source.is_git]
    if not git:
        raise errors.UsageError(
            f"{one.reference} has no source in git: a chart has versions, not branches",
            hint="its targetRevision is the chart's version; change it in the templates",
            code=_WHICH,
        )
    if asked.source:
        return [_named(one, asked.source)]
    if asked.of:
        found = [index for index in git if gitref.same(one.sources[index].repo, asked.of)]
        if found:
            return found
    repos = {gitref.parse(one.sources[index].repo) for index in git}
    if len(repos) == 1:
        return git
    listed = ", ".join(f"{index + 1} ({one.sources[index].name or one.sources[index].repo})" for index in git)
    raise errors.UsageError(
        f"{one.reference} has sources of several repositories: {listed}",
        hint="say which one with --source, or name the checkout of your templates as argocd.templates",
        code=_WHICH,
    )


def _named(one: application.Application, name: str) -> int:
    for index, source in enumerate(one.sources):
        if name == source.name or name == str(index + 1):
            if not source.is_git:
                raise errors.UsageError(f"source {name} of {one.reference} is a chart, without branches", code=_WHICH)
            return index
    there = ", ".join(each.name or str(index + 1) for index, each in enumerate(one.sources))
    raise errors.UsageError(f"{one.reference} has no source {name}", hint=f"it has {there}", code=_WHICH)


def _base(one: application.Application, index: int) -> str:
    if one.hydrated:
        return "/spec/sourceHydrator/drySource"
    return f"/spec/sources/{index}" if one.is_multi else "/spec/source"


def _entry(one: application.Application, fields: Sequence[lease.Field]) -> lease.Entry:
    return lease.Entry(one.reference.namespace, one.reference.name, one.uid, tuple(fields))


def _value(raw: application.Raw, path: str) -> Any:
    found: Any = raw
    for part in path.split("/")[1:]:
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found


def _back(raw: application.Raw, field: lease.Field) -> list[backend.Change]:
    parent, _, key = field.path.rpartition("/")
    if field.new is None and _value(raw, parent) is None:
        # what was in it alone was taken away, and somebody tidied up the empty rest
        return [_test(parent, None), _add(parent, {key: field.old})]
    now = _value(raw, field.path)
    if not field.is_ours(now):
        now = field.new
    return [_test(field.path, now), _put(field.path, field.old, was=now)]


def _test(path: str, value: Any) -> backend.Change:
    return {"op": "test", "path": path, "value": value}


def _add(path: str, value: Any) -> backend.Change:
    return {"op": "add", "path": path, "value": value}


def _put(path: str, value: Any, was: Any) -> backend.Change:
    if value is None:
        return {"op": "remove", "path": path}
    return {"op": "replace" if was is not None else "add", "path": path, "value": value}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _shown(value: Any) -> str:
    return "not there" if value is None else str(value)
