from __future__ import annotations

from typing import Any

import pytest

from devloop.podspec import fitness
from tests.unit.podspec import cases


@pytest.mark.parametrize(
    ("pod", "version", "words"),
    [
        ({"metadata": {"ownerReferences": [{"kind": "Job", "name": "j"}]}, **cases.pod()}, "1.30", ["the job j"]),
        ({"metadata": {"ownerReferences": [{"kind": "ReplicaSet"}, None]}, **cases.pod()}, "1.30", []),
        ({"metadata": {"ownerReferences": "x"}, **cases.pod()}, "1.30", []),
        (cases.pod(os={"name": "windows"}), "1.30", ["Windows"]),
        (cases.pod(os={"name": "linux"}), "1.30", []),
        (cases.pod(hostNetwork=True), "1.30", ["node's network"]),
        (cases.pod(hostNetwork=False), "1.30", []),
        (cases.pod(restartPolicy="Never"), "1.28", ["restartPolicy: Never"]),
        (cases.pod(restartPolicy="Never"), "1.29", []),
        (cases.pod(restartPolicy="Always"), "1.28", []),
        (cases.pod({"name": "a", "ports": [{"containerPort": 1}, {"containerPort": 7460}]}), "1.30", ["port 7460"]),
    ],
)
def test_what_is_left_alone(pod: dict[str, Any], version: str, words: list[str]) -> None:
    found = list(fitness.check(pod, cases.platform(version)))
    assert len(found) == len(words)
    for refusal, word in zip(found, words, strict=True):
        assert word in refusal.message and refusal.code == "DL0805"
