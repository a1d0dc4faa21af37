from __future__ import annotations

import pytest

from devloop.podspec import request
from tests.unit.podspec import cases


@pytest.mark.parametrize(
    ("text", "major", "minor"),
    [("1.29", 1, 29), ("v1.30.2", 1, 30), ("1.28+", 1, 28), ("v1.20.2-dirty", 1, 20), ("1.29.3+k3s1", 1, 29)],
)
def test_versions(text: str, major: int, minor: int) -> None:
    assert request.KubeVersion.parse(text) == request.KubeVersion(major, minor)


@pytest.mark.parametrize("text", ["", "1", "x", "1.", "1.2345", "one.two"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError):
        request.KubeVersion.parse(text)


@pytest.mark.parametrize(
    ("text", "native"), [("1.9", False), ("1.28", False), ("1.29", True), ("1.36", True), ("2.0", True)]
)
def test_native_sidecars_come_with_1_29(text: str, native: bool) -> None:
    assert request.KubeVersion.parse(text).has_native_sidecars is native


def test_a_claim_has_a_name_that_kubernetes_takes() -> None:
    assert cases.service(name="My_Web.app").claim == "devloop-my-web-app"
