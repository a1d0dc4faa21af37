"""`devloop env resume` ends pauses and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop

Capture = pytest.CaptureFixture[str]


def test_a_branch_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    there = living.Living(tmp_path)
    there.git("branch", "feature/x")
    environments.project()
    environments.found(monkeypatch, there)
    assert "nothing of yours is paused" in devloop(capsys, "env", "resume").err
    devloop(capsys, "env", "use", "feature/x", "--no-wait")
    devloop(capsys, "env", "pause")
    there.raw["spec"]["syncPolicy"]["automated"] = {"prune": False}
    ended = devloop(capsys, "env", "resume")
    assert ended.status == 3 and "stays as it is" in ended.err
    assert there.revision() == "feature/x" and list(there.leases) == ["devloop-branch-argocd.shop"]
