"""docs/protocol.md is what its generator makes of the code."""

import importlib.machinery
import importlib.util
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_generated_parts_are_up_to_date() -> None:
    loader = importlib.machinery.SourceFileLoader("gen_protocol_docs", str(ROOT / "scripts" / "gen-protocol-docs"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    generator = importlib.util.module_from_spec(spec)
    loader.exec_module(generator)
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert generator.generate(page) == page, "run scripts/gen-protocol-docs"


def test_every_module_is_told() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    package = ROOT / "devloop" / "protocol"
    modules = {str(path.relative_to(package)) for path in package.rglob("*.py") if path.name != "__init__.py"}
    assert sorted(name for name in modules - {"version.py"} if f"`{name}`" not in page) == []
