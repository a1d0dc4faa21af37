from __future__ import annotations

import pydantic
import pytest

from devloop.config import complaints, model, nodes


def told(text: str) -> list[tuple[str, str, str, str]]:
    root = nodes.parse(text, "f")
    with pytest.raises(pydantic.ValidationError) as caught:
        model.Config.model_validate(nodes.plain(root), context={"folder": "/p"})
    return [
        (complaints.spell(found.loc), found.message, found.hint, code)
        for found, code in complaints.of(caught.value, root)
    ]


def test_paths_are_spelled_as_in_the_documents() -> None:
    assert complaints.spell(("services", "web", "sync", 0, "from")) == "services.web.sync[0].from"
    assert complaints.spell(()) == ""


def test_an_unknown_key_is_told_the_keys_of_its_own_mapping() -> None:
    text = (
        "version: 1\nservices: {w: {sync: [{from: a, to: /a, igmore: []}], on_change: [{paths: [a], run: [b], zz: 1}]}}"
    )
    first, second = told(text)
    assert first == ("services.w.sync[0].igmore", "unknown key", "did you mean 'ignore'?", complaints.UNKNOWN_CODE)
    assert second[2] == "known here: in, name, paths, run, timeout"


def test_a_choice_is_told_its_words_and_the_nearest_one() -> None:
    text = "version: 1\nwatch: {backend: pollling}"
    assert told(text) == [
        (
            "watch.backend",
            "expected one of auto, native, polling, found 'pollling'",
            "did you mean 'polling'?",
            complaints.CODE,
        )
    ]


def test_steps_that_are_pydantics_own_are_not_shown() -> None:
    (name, _, _, _), _ = told("version: 1\nservices: {'a b': {}}")
    assert name == "services.a b"


def test_every_part_of_the_model_describes_every_key() -> None:
    parts: list[type[model.Part]] = [*model.Part.__subclasses__()]
    missing = [
        (part.__name__, key) for part in parts for key, field in part.model_fields.items() if not field.description
    ]
    assert missing == []
