"""Paths of the Kubernetes API, and what they ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.kube import paths
from devloop.kube.paths import Asked

NAME = st.text(st.characters(codec="ascii", exclude_characters="", min_codepoint=33), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("GET", "/api/v1/namespaces/dev/pods", Asked("list", "pods", namespace="dev")),
        ("GET", "/api/v1/namespaces/dev/pods?limit=5", Asked("list", "pods", namespace="dev")),
        ("GET", "/api/v1/namespaces/dev/pods/web/exec", Asked("get", "pods", "", "dev", "web", "exec")),
        ("POST", "/apis/apps/v1/namespaces/dev/deployments", Asked("create", "deployments", "apps", "dev")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/d/deployments/x/scale",
            Asked("patch", "deployments", "apps", "d", "x", "scale"),
        ),
        ("GET", "/api/v1/namespaces", Asked("list", "namespaces")),
        ("GET", "/api/v1/namespaces/dev", Asked("get", "namespaces", name="dev")),
        ("PUT", "/api/v1/namespaces/dev/status", Asked("update", "namespaces", name="dev", subresource="status")),
        ("DELETE", "/api/v1/nodes", Asked("deletecollection", "nodes")),
        ("GET", "/version", Asked("get")),
        ("GET", "/apis/apps/v1", Asked("get")),
    ],
)
def test_a_request_in_the_words_of_rbac(method: str, path: str, asked: Asked) -> None:
    assert paths.asked(method, path) == asked


def test_a_watch_is_a_verb_of_its_own() -> None:
    assert paths.asked("GET", "/api/v1/pods", watching=True).verb == "watch"


def test_the_line_that_asks_for_a_right() -> None:
    asked = Asked("create", "pods", namespace="dev", name="web", subresource="exec")
    assert asked.can_i() == "kubectl auth can-i create pods --subresource=exec -n dev"
    assert Asked("list", "rollouts", "argoproj.io").can_i() == "kubectl auth can-i list rollouts.argoproj.io"


@given(st.sampled_from(["v1", "apps/v1"]), NAME, NAME, NAME)
def test_what_is_made_is_read_back_whatever_the_names_hold(version: str, namespace: str, name: str, sub: str) -> None:
    made = paths.of(version, "pods", namespace, name, sub)
    group = version.rpartition("/")[0]
    assert paths.asked("GET", made) == Asked("get", "pods", group, namespace, name, sub)
    assert paths.collection(made) == paths.of(version, "pods", namespace)


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    assert paths.of("v1", "pods", "dev", "../../secrets") == "/api/v1/namespaces/dev/pods/..%2F..%2Fsecrets"
