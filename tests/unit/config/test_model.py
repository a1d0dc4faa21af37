from __future__ import annotations

import pydantic
import pytest

from devloop.config import model


def test_parts_can_be_made_from_the_words_of_yaml() -> None:
    sync = model.Sync.model_validate({"from": "/src", "to": "/app"})
    assert (sync.source, sync.to, sync.symlinks, sync.extra) == ("/src", "/app", model.Symlinks.KEEP, model.Extra.KEEP)


def test_keys_are_the_words_of_yaml() -> None:
    assert {"from", "to"} <= model.Sync.yaml_keys()
    assert "source" not in model.Sync.yaml_keys()
    assert "in" in model.OnChange.yaml_keys()


def test_parts_are_frozen_and_refuse_what_they_do_not_know() -> None:
    reload = model.Reload()
    with pytest.raises(pydantic.ValidationError):
        reload.mode = model.Mode.SIGNAL
    with pytest.raises(pydantic.ValidationError):
        model.Reload.model_validate({"mod": "none"})


def test_a_word_is_short_for_a_mode() -> None:
    assert model.Reload.model_validate("supervise") == model.Reload(mode=model.Mode.SUPERVISE)


def test_everything_is_seeded_by_default() -> None:
    assert model.Sync.model_validate({"from": "/s", "to": "/app"}).seed == ("**",)
