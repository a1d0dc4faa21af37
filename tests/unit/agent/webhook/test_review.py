from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from agent.webhook import review


def told(answer: review.Answer) -> dict[str, Any]:
    body = json.loads(review.encode("u1", answer))
    assert (body["apiVersion"], body["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: dict[str, Any] = body["response"]
    assert response["uid"] == "u1"
    return response


def test_a_question_is_read() -> None:
    body = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "namespace": "dev",
            "operation": "CREATE",
            "userInfo": {"username": "alice", "groups": ["devs"], "extra": {"scopes": ["a"]}},
            "object": {"kind": "Pod"},
            "oldObject": None,
            "dryRun": True,
        },
    }
    asked = review.decode(json.dumps(body).encode())
    assert (asked.uid, asked.namespace, asked.operation, asked.dry_run) == ("u1", "dev", "CREATE", True)
    assert asked.user_info.author().groups == ("devs",)
    assert asked.user_info.author().extra == {"scopes": ("a",)}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"request": {}}', b'{"request": {"uid": 1}}'])
def test_what_is_no_question_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        review.decode(body)


def test_nothing_to_do_is_allowed_without_a_patch() -> None:
    assert told(review.Answer()) == {"uid": "u1", "allowed": True}


def test_a_change_is_a_json_patch() -> None:
    response = told(review.changed({"a": 1}, {"a": 2}))
    assert response["allowed"] and response["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(response["patch"])) == [{"op": "replace", "path": "/a", "value": 2}]


def test_a_refusal_changes_nothing_and_says_why() -> None:
    response = told(review.Answer(patch=({"op": "add"},), refusal="no"))
    assert response == {"uid": "u1", "allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": "no"}}


def test_long_warnings_are_cut_where_the_api_server_would() -> None:
    (warning,) = told(review.Answer(warnings=("x" * 400,)))["warnings"]
    assert len(warning) < 256 and warning.endswith("…")
