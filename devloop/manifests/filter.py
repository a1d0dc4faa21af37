"""Manifests in, manifests out: the workloads of the services get the agent, or lose it again.

Pure. What is changed is changed in the text (`splice`), then read again and compared with what it is to mean; a
document whose text cannot be changed in part is written anew, and a note says so. Every other one passes byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from devloop import errors
from devloop.manifests import documents, dump, splice, workloads
from devloop.podspec import inject, outcome, record, request

CLAIM_LABEL: Final = "devloop.dev/claim-of"

Change: TypeAlias = Callable[[workloads.Found], outcome.Outcome | None]
"""Returns what becomes of a workload's pod template; None leaves the workload alone."""


class Wanted(msgspec.Struct, frozen=True):
    """A service and the workload that it means.

    Attributes:
        service: What to do with its pods.
        workload: `KIND/NAME`; empty where labels decide.
        selector: Labels of the pods, where no workload is named.
        namespace: Its namespace; empty for any.
    """

    service: request.Service
    workload: str = ""
    selector: Mapping[str, str] = {}
    namespace: str = ""

    def matches(self, found: workloads.Found) -> bool:
        """Say whether a workload is the one that is meant."""
        if self.namespace and found.namespace and self.namespace != found.namespace:
            return False
        if self.workload:
            return self.workload == str(found)
        labels = found.labels()
        return bool(self.selector) and all(labels.get(key) == value for key, value in self.selector.items())


class Told(msgspec.Struct, frozen=True):
    """A sentence about a workload of the input.

    Attributes:
        workload: `KIND/NAME`.
        place: Where it is about.
        message: The sentence.
        code: The error's code; empty for a note.
        hint: How to mend it.
    """

    workload: str
    place: documents.Place
    message: str
    code: str = ""
    hint: str = ""


class Filtered(msgspec.Struct, frozen=True):
    """The outcome.

    Attributes:
        text: The new stream.
        notes: What was changed, and why.
        problems: Workloads that were to be changed and could not be; they are in the text as they were.
        changed: The workloads that were changed, or were already as they should be.
        services: The services whose workload is in the input.
        seen: All workloads of the input.
        claims: PersistentVolumeClaims that the changed pods need.
    """

    text: str
    notes: tuple[Told, ...]
    problems: tuple[Told, ...]
    changed: tuple[str, ...]
    services: frozenset[str]
    seen: tuple[str, ...]
    claims: tuple[str, ...] = ()


def inject_all(text: str, shown: str, wanted: Sequence[Wanted], platform: request.Platform) -> Filtered:
    """Put the agent into the workloads of some services.

    Args:
        text: The stream of documents.
        shown: Its name in messages.
        wanted: The services.
        platform: The agent's image and the server's version.

    Raises:
        ConfigError: The text is not YAML, or two services mean one workload.
    """
    claims: dict[str, str] = {}
    matched: set[str] = set()

    def change(found: workloads.Found) -> outcome.Outcome | None:
        mine = [each for each in wanted if each.matches(found)]
        if len(mine) > 1:
            both = " and ".join(each.service.name for each in mine)
            return _refused(found.pod(), f"the services {both} are in the same pod, which has room for one agent")
        if not mine:
            return None
        service = mine[0].service
        matched.add(service.name)
        if found.pod() is None:
            return _refused(found.pod(), "it has no pod template of its own", "name the workload that has it")
        known = msgspec.structs.replace(platform, claim_templates=found.claim_templates())
        made = inject.inject(_tree(found.pod()), service, known)
        if made.claim:
            claims[made.claim] = _claim(made.claim, service, found.namespace)
        return made

    done = _Stream(text, shown).run(change)
    there = {workloads.take(each.value, ("metadata", "name")) for each in done.claims}
    added = [text for name, text in claims.items() if name not in there]
    return msgspec.structs.replace(
        done.filtered, text=_append(done.filtered.text, added), services=frozenset(matched), claims=tuple(claims)
    )


def uninject_all(text: str, shown: str, services: Sequence[str] = ()) -> Filtered:
    """Take the agent out of every workload that has it.

    Args:
        text: The stream of documents.
        shown: Its name in messages.
        services: Only the workloads that were injected for these; all by default.

    Raises:
        ConfigError: The text is not YAML.
    """

    def change(found: workloads.Found) -> outcome.Outcome | None:
        pod = found.pod()
        if not isinstance(pod, dict) or not inject.is_injected(pod):
            return None
        if services and _service_of(pod) not in services:
            return None
        return inject.uninject(pod)

    done = _Stream(text, shown).run(change)
    left = _without_claims(done.filtered.text, shown, services) if done.claims else done.filtered.text
    return msgspec.structs.replace(done.filtered, text=left)


def _without_claims(text: str, shown: str, services: Sequence[str]) -> str:
    for document in reversed(documents.parse(text, shown)):
        service = workloads.take(document.value, ("metadata", "labels", CLAIM_LABEL))
        if _is_claim(document) and (not services or service in services):
            start, end = splice.lines_of(text, document.node)
            if text[:start].endswith("---\n"):
                start -= len("---\n")
            text = text[:start] + text[end:]
    return text


def _service_of(pod: outcome.Tree) -> str:
    try:
        told = record.read(pod)
    except outcome.Refused:
        return ""
    return told.service if told else ""


def _refused(pod: Any, message: str, hint: str = "") -> outcome.Outcome:
    refusal = outcome.Refusal("DL0805", message, hint)
    return outcome.Outcome(_tree(pod), refusals=(refusal,))


def _tree(pod: Any) -> outcome.Tree:
    return pod if isinstance(pod, dict) else {"spec": pod}


class _Done(msgspec.Struct, frozen=True):
    filtered: Filtered
    claims: tuple[documents.Document, ...]


class _Stream:
    """One run over a stream of documents."""

    def __init__(self, text: str, shown: str) -> None:
        self._text = text
        self._shown = shown
        self._notes: list[Told] = []
        self._problems: list[Told] = []
        self._changed: list[str] = []
        self._seen: list[str] = []

    def run(self, change: Change) -> _Done:
        text = self._text
        listed = documents.parse(text, self._shown)
        # From the last to the first, so that the places of those before stay what they are.
        for document in reversed(listed):
            text = self._document(text, document, change)
        for told in (self._notes, self._problems):
            told.sort(key=lambda each: each.place)
        filtered = Filtered(
            text,
            tuple(self._notes),
            tuple(self._problems),
            tuple(reversed(self._changed)),
            frozenset(),
            tuple(reversed(self._seen)),
        )
        return _Done(filtered, tuple(each for each in listed if _is_claim(each)))

    def _document(self, text: str, document: documents.Document, change: Change) -> str:
        new = document.value
        for found in reversed(list(workloads.find(document.value))):
            self._seen.append(str(found))
            made = change(found)
            if made is None:
                continue
            place = documents.place_of(documents.find(document.node, found.loc))
            if made.refusals:
                self._problems += [self._problem(document, found, refusal) for refusal in made.refusals]
                continue
            self._changed.append(str(found))
            self._notes += [Told(str(found), place, note) for note in made.notes]
            new = workloads.replaced(new, found.at, made.pod)
        return text if new == document.value else self._written(text, document, new)

    def _problem(self, document: documents.Document, found: workloads.Found, refusal: outcome.Refusal) -> Told:
        node = documents.find(document.node, (*found.at, *refusal.at))
        return Told(str(found), documents.place_of(node), refusal.message, refusal.code, refusal.hint)

    def _written(self, text: str, document: documents.Document, new: Any) -> str:
        if not document.has_aliases:
            changed = splice.changed(text, document.node, document.value, new)
            if self._means(text, document, changed, new):
                return changed
        place = documents.place_of(document.node)
        self._notes.append(Told("", place, "the document was written anew: its comments and its layout are lost"))
        changed = splice.whole(text, document.node, new)
        if new not in [each.value for each in documents.parse(changed, self._shown)]:
            raise errors.ConfigError(
                "the document cannot be written anew",
                hint="render it without anchors and aliases",
                code=documents.CODE,
                file=self._shown,
                line=place.line,
                column=place.column,
            )
        return changed

    def _means(self, text: str, document: documents.Document, changed: str, new: Any) -> bool:
        start, end = splice.lines_of(text, document.node)
        try:
            return [each.value for each in documents.parse(changed[start : len(changed) - len(text) + end], "")] == [
                new
            ]
        except errors.ConfigError:
            return False


def _is_claim(document: documents.Document) -> bool:
    labelled = workloads.take(document.value, ("metadata", "labels", CLAIM_LABEL)) is not None
    return labelled and document.value.get("kind") == "PersistentVolumeClaim"


def _claim(name: str, service: request.Service, namespace: str) -> str:
    metadata: dict[str, Any] = {"name": name, "labels": {CLAIM_LABEL: service.name}}
    if namespace:
        metadata["namespace"] = namespace
    return dump.block(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": service.persist_size}}},
        }
    )


def _append(text: str, added: Sequence[str]) -> str:
    for each in added:
        text = text if text.endswith("\n") else text + "\n"
        text += f"---\n{each}"
    return text
