from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from devloop import errors
from devloop.config import load, schema

CONFIG = Path(__file__).parents[3] / "config"
EXAMPLES = sorted((CONFIG / "examples").glob("*.yaml"))


def test_the_committed_schema_is_the_models() -> None:
    committed = (CONFIG / "devloop.schema.json").read_text()
    assert committed == schema.text(), "run: devloop config schema > config/devloop.schema.json"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.generate())


def test_there_are_examples() -> None:
    assert {example.name for example in EXAMPLES} >= {"local.yaml", "full.yaml", "kubernetes.yaml"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads_and_fits_the_schema(example: Path) -> None:
    load.load(str(example), environ={})
    jsonschema.Draft202012Validator(schema.generate()).validate(yaml.safe_load(example.read_text()))


def test_the_full_example_holds_every_key() -> None:
    text = (CONFIG / "examples/full.yaml").read_text()
    made = schema.generate()
    parts = [made, *(part for name, part in made["$defs"].items() if name != "Target")]
    keys = {key for part in parts for key in part.get("properties", {})}
    assert [key for key in sorted(keys - {"target"}) if f"{key}:" not in text] == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 2",
        "version: 1\nservices: {web: {}}",
        "version: 1\nservices: {'a b': {sync: [{from: a, to: /b}]}}",
        "version: 1\nservices: {web: {sync: [{from: a, to: /b}], bogus: 1}}",
        "version: 1\nservices: {web: {sync: [{from: a, to: b}]}}",
        "version: 1\nservices: {web: {sync: [{from: a, to: /b}], command: a b}}",
        "version: 1\nwatch: {poll: 5}",
    ],
)
def test_what_the_schema_refuses_the_loader_refuses_too(text: str) -> None:
    validator = jsonschema.Draft202012Validator(schema.generate())
    assert not validator.is_valid(yaml.safe_load(text))
    with pytest.raises(errors.ConfigError):
        load.assemble(load.Text("f", text.encode()), None, folder="/p", environ={})


def test_variables_and_short_forms_fit_the_schema() -> None:
    text = """
version: 1
name: shop-${USER}
services:
  web:
    workload: ${KIND:-deployment}/web
    sync: [{from: ., to: "${APP:-/app}"}]
    reload: supervise
    command: {shell: "a && b"}
    ports: [8000, "8080:80"]
    env: {A: 1, B: true, C: x}
    on_change:
forwards:
"""
    jsonschema.Draft202012Validator(schema.generate()).validate(yaml.safe_load(text))


def test_every_key_has_a_description() -> None:
    made = schema.generate()
    for part in [made, *made["$defs"].values()]:
        for key, field in part.get("properties", {}).items():
            assert "description" in field or "$ref" in field, key
