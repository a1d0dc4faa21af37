"""The architecture page tells the layers that import-linter enforces."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def contract() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["id"] == "layers")
    return list(layers)


def page() -> str:
    return (ROOT / "docs" / "architecture.md").read_text()


def test_the_list_of_layers_is_the_contract() -> None:
    (block,) = re.findall(r"```\n(cli\n.*?)```", page(), re.DOTALL)
    assert block.splitlines() == contract()


def test_every_layer_is_told() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", page(), re.MULTILINE))
    layers = {name for line in contract() for name in line.split(" | ")}
    assert layers <= told


def test_every_package_is_a_layer() -> None:
    layers = {name for line in contract() for name in line.split(" | ")}
    packages = {path.name for path in (ROOT / "devloop").iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in (ROOT / "devloop").glob("*.py")} - {"__init__"}
    assert packages | modules == layers
