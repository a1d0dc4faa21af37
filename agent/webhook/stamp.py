"""Decides about a DevSession that somebody makes or changes: who its author is, and whether it may be.

Pure. What the author may do in the namespace is asked in `agent.webhook.cluster`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from agent.webhook import review
from devloop.podspec import devsession


class Stamped(msgspec.Struct, frozen=True):
    """The decision.

    Attributes:
        answer: With the author written into the object, or the refusal.
        author: Whose rights are to be asked for before the answer is given; None where nothing new is wanted.
    """

    answer: review.Answer
    author: devsession.Author | None = None


def decide(request: review.Request) -> Stamped:
    """Return the decision about a session.

    Args:
        request: Its creation or change.
    """
    raw = request.object or {}
    try:
        session = devsession.read(raw)
    except ValueError as error:
        return _refused(f"this is no DevSession: {error}")
    found = devsession.problems(session.spec)
    if found:
        return _refused("; ".join(each.message for each in found))
    mine = request.user_info.author()
    if request.operation == "UPDATE":
        return _changed(request, session.spec, mine)
    told = session.spec.author
    if told != devsession.Author() and told.name != mine.name:
        return _refused(f"spec.author is written by devloop's webhook, and you are {mine.name}, not {told.name}")
    return Stamped(review.changed(raw, _with_author(raw, mine)), mine)


def _changed(request: review.Request, spec: devsession.Spec, mine: devsession.Author) -> Stamped:
    try:
        before = devsession.read(request.old_object or {}).spec
    except ValueError:
        return _refused("this session is not readable as it was; delete it and make a new one")
    if before == spec:
        return Stamped(review.Answer())
    if before.author.name != mine.name:
        return _refused(f"this session is {before.author.name or 'nobody'}'s; you are {mine.name}")
    if spec.author not in (before.author, devsession.Author()):
        return _refused("spec.author is written by devloop's webhook, not by hand")
    if spec.workload != before.workload:
        return _refused("a session stays with its workload; make another one")
    raw = request.object or {}
    return Stamped(review.changed(raw, _with_author(raw, mine)), mine)


def _with_author(raw: dict[str, Any], author: devsession.Author) -> dict[str, Any]:
    return {**raw, "spec": {**raw["spec"], "author": msgspec.json.decode(msgspec.json.encode(author))}}


def _refused(why: str) -> Stamped:
    return Stamped(review.Answer(refusal=f"devloop: {why}"))
