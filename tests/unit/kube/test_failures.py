"""Answers and exceptions, as errors for people."""

from __future__ import annotations

import json
import ssl

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.kube import failures, paths
from devloop.kube.paths import Asked

POD = Asked("get", "pods", namespace="dev", name="web")
NEW = Asked("create", "pods", namespace="dev")


def answered(code: int, message: str = "", asked: Asked = POD, reason: str = "") -> errors.ClusterError:
    body = json.dumps({"kind": "Status", "message": message, "reason": reason, "code": code}).encode()
    return failures.of_answer(code, body, asked, "https://x")


def test_a_missing_right_is_told_with_the_line_that_tests_it() -> None:
    message = (
        'pods "web" is forbidden: User "u" cannot create resource "pods/exec" in API group "" in the namespace "dev"'
    )
    error = answered(403, message, paths.asked("GET", "/api/v1/namespaces/dev/pods/web/exec"), "Forbidden")
    assert isinstance(error, errors.ForbiddenError) and error.exit_status == 4
    assert error.message == "you may not create pods/exec in namespace dev"
    assert error.hint.endswith("kubectl auth can-i create pods --subresource=exec -n dev")


@pytest.mark.parametrize("stream", ["exec", "attach", "portforward"])
def test_a_websockets_second_check_says_nothing_and_is_told_all_the_same(stream: str) -> None:
    asked = paths.asked("GET", f"/api/v1/namespaces/dev/pods/web/{stream}")
    error = answered(403, 'pods "web" is forbidden: ', asked, "Forbidden")
    assert isinstance(error, errors.ForbiddenError)
    assert error.message == f"you may not create pods/{stream} in namespace dev"
    assert "can-i create pods" in error.hint


def test_a_refusal_without_the_servers_words_is_told_by_what_was_asked() -> None:
    error = failures.of_answer(403, b"Forbidden", Asked("list", "rollouts", "argoproj.io", "dev"), "https://x")
    assert isinstance(error, errors.ForbiddenError)
    assert "list rollouts.argoproj.io in namespace dev" in error.message


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('pods "x" is forbidden: exceeded quota: q, requested: pods=1', "quota"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot', "admission rule"),
        ("x is forbidden: unable to create new content in namespace dev because it is being terminated", "until"),
    ],
)
def test_what_admission_denies_is_not_called_a_missing_right(message: str, hint: str) -> None:
    error = answered(403, message, NEW)
    assert type(error) is errors.RefusedError and error.message == message and hint in error.hint


@pytest.mark.parametrize(
    ("code", "kind", "exit_status", "dl"),
    [
        (401, errors.CredentialsError, 4, "DL0720"),
        (404, errors.NotThereError, 1, "DL0730"),
        (409, errors.ConflictError, 1, "DL0732"),
        (422, errors.RefusedError, 1, "DL0731"),
        (429, errors.UnreachableError, 5, "DL0744"),
        (503, errors.UnreachableError, 5, "DL0744"),
        (410, errors.ClusterError, 1, "DL0700"),
    ],
)
def test_each_status_has_its_class(code: int, kind: type[errors.ClusterError], exit_status: int, dl: str) -> None:
    error = answered(code, "words", reason="R")
    assert (type(error), error.exit_status, error.error_code) == (kind, exit_status, dl)
    assert (error.status, error.reason) == (code, "R")


def test_near_names_come_first_then_all_there_are() -> None:
    assert failures.missing(POD, ["webs", "db"]).hint == "did you mean webs?"
    assert failures.missing(POD, ["xyz", "abc"]).hint == "there are abc, xyz"
    assert failures.missing(POD, list("abcdefg")).hint.endswith("and 2 more")
    assert failures.missing(POD, []).message == "there is no pod web in namespace dev"
    assert (
        failures.missing(Asked("list", "rollouts", "argoproj.io"), []).message
        == "the cluster has no rollouts.argoproj.io"
    )


@pytest.mark.parametrize(
    ("code", "body", "dl"),
    [
        (200, b"<html>please log in", "DL0743"),
        (302, b"", "DL0743"),
        (502, b"<html>Bad Gateway", "DL0744"),
        (500, b"[]", "DL0743"),
        (401, b"Unauthorized", "DL0720"),
    ],
)
def test_a_stranger_in_the_api_servers_place_is_recognised(code: int, body: bytes, dl: str) -> None:
    assert failures.of_answer(code, body, POD, "https://x").error_code == dl


def test_trouble_on_the_way_is_unreachable() -> None:
    key = aiohttp.client_reqrep.ConnectionKey("api.test", 443, True, True, None, None, None)
    told: dict[BaseException, str] = {
        aiohttp.ClientConnectorDNSError(key, OSError("no")): "DL0741",
        aiohttp.ClientConnectorError(key, ConnectionRefusedError(111, "refused")): "DL0740",
        aiohttp.ClientConnectorError(key, ConnectionResetError()): "DL0740",
        aiohttp.ClientConnectorSSLError(key, OSError(1, "wrong version")): "DL0742",
        ssl.SSLError(1, "bad"): "DL0742",
        TimeoutError(): "DL0740",
        aiohttp.ServerDisconnectedError(): "DL0740",
        aiohttp.ClientPayloadError("more than 5 bytes"): "DL0743",
        aiohttp.ClientPayloadError("Response payload is not completed: <Error>"): "DL0740",
    }
    for error, code in told.items():
        made = failures.of_exception(error, "https://x")
        assert (made.error_code, made.exit_status) == (code, 5), error
        assert not made.message.endswith(": ")


@given(
    st.integers(100, 999),
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["message", "reason", "code", "x"]), inner),
    ).map(lambda v: json.dumps(v).encode()),
)
def test_whatever_is_answered_becomes_an_error_with_words(code: int, body: bytes) -> None:
    error = failures.of_answer(code, body, POD, "https://x")
    assert error.message and len(error.message) < 1000


def test_the_servers_own_words_are_kept_with_what_their_causes_add() -> None:
    status = {"message": "Cannot evict pod.", "reason": "TooManyRequests", "code": 429}
    causes = [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 1 healthy pods"}]
    told = failures.of_answer(429, json.dumps({**status, "details": {"causes": causes}}).encode(), NEW, "https://x")
    assert told.words == "Cannot evict pod. (The disruption budget web needs 1 healthy pods)"
    assert told.message.endswith(told.words)


def test_a_cause_that_the_message_tells_already_is_not_told_twice() -> None:
    status = {"message": "Pod is invalid: spec.x: Required value", "code": 422}
    body = json.dumps({**status, "details": {"causes": [{"message": "Required value"}]}}).encode()
    assert failures.of_answer(422, body, NEW, "https://x").words == status["message"]


@pytest.mark.parametrize("details", [7, "x", None, {"causes": None}, {"causes": [7, {"message": 7}, {}]}])
def test_details_that_are_none_do_not_cost_the_message(details: object) -> None:
    body = json.dumps({"message": "no", "code": 422, "details": details}).encode()
    assert failures.of_answer(422, body, NEW, "https://x").words == "no"
