"""What lies in config/ is what devloop prints, so that nobody copies what is out of date."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from devloop.cli import main, options

CONFIG = Path(__file__).parents[3] / "config"
BASE = CONFIG / "kustomize/base"


@pytest.mark.parametrize(
    ("flag", "made"),
    [("--print-component", "kustomize/component/kustomization.yaml"), ("--print-helm", "helm-snippet/_devloop.tpl")],
)
def test_it_is_made_from_the_base(flag: str, made: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--file", str(BASE / "devloop.yaml"), "inject", "-f", str(BASE / "deployment.yaml"), flag]
    arguments += ["--agent-image", "ghcr.io/devloop-k8s/agent:VERSION"]
    assert main.run(arguments, options.Chosen()) == 0
    printed = capsys.readouterr().out
    assert (CONFIG / made).read_text() == printed, f"run: devloop {' '.join(arguments)} > config/{made}"


def test_the_overlay_leads_to_both() -> None:
    overlay = CONFIG / "kustomize/overlay"
    told = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    for folder in (*told["resources"], *told["components"]):
        assert (overlay / folder / "kustomization.yaml").is_file()
