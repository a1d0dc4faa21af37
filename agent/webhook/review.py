"""AdmissionReview (admission.k8s.io/v1): the API server's question, and the answer to it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from agent.webhook import jsonpatch
from devloop.podspec import devsession

# The API server cuts a warning after 256 characters and all of them together after 4096.
_WARNING_LIMIT: Final = 240


class User(msgspec.Struct, frozen=True):
    """Who asks, as the API server knows them."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}

    def author(self) -> devsession.Author:
        """Return the author of what they ask for."""
        return devsession.Author(self.username, self.uid, self.groups, self.extra)


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What the API server asks about.

    Attributes:
        uid: Of the question.
        namespace: The object's.
        operation: CREATE or UPDATE.
        user_info: Who asks.
        object: The object as it would be.
        old_object: As it is; None where it is new.
        dry_run: Nothing will come of it.
    """

    uid: str
    operation: str = ""
    namespace: str = ""
    user_info: User = User()
    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None
    dry_run: bool = False


class _Review(msgspec.Struct, frozen=True):
    request: Request


class Answer(msgspec.Struct, frozen=True):
    """What is to become of a request.

    Attributes:
        patch: What is changed, a JSON patch.
        warnings: What the client is told.
        refusal: Why it may not be; empty where it may.
    """

    patch: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""


def changed(old: dict[str, Any], new: dict[str, Any], warnings: Sequence[str] = ()) -> Answer:
    """Return the answer that makes one object of the other."""
    return Answer(tuple(jsonpatch.diff(old, new)), tuple(warnings))


def decode(body: bytes) -> Request:
    """Return the question.

    Raises:
        ValueError: It is none.
    """
    try:
        return msgspec.json.decode(body, type=_Review).request
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def encode(uid: str, answer: Answer) -> bytes:
    """Return the answer's body.

    Args:
        uid: Of the question.
        answer: The answer.
    """
    response: dict[str, Any] = {"uid": uid, "allowed": not answer.refusal}
    if answer.refusal:
        response["status"] = {"code": 403, "reason": "Forbidden", "message": answer.refusal}
    elif answer.patch:
        encoded = base64.b64encode(msgspec.json.encode(answer.patch)).decode("ascii")
        response |= {"patchType": "JSONPatch", "patch": encoded}
    if answer.warnings:
        response["warnings"] = [_short(each) for each in answer.warnings]
    return msgspec.json.encode({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})


def _short(text: str) -> str:
    return text if len(text) <= _WARNING_LIMIT else text[: _WARNING_LIMIT - 1] + "…"
