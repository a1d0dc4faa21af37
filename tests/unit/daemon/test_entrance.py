"""What the command line asks becomes each service's way in."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.config import model
from devloop.daemon import admitted, app, attached, entrance, patched, rungs, unasked
from devloop.inject import lease, template

SYNC = [{"from": "/laptop/web", "to": "/app"}]


def spec(**how: Any) -> model.Service:
    return model.Service.model_validate({"workload": "deploy/web", "sync": SYNC, **how})


def made(way: app.Way, one: model.Service, **how: Any) -> rungs.Rung:
    config = model.Config.model_validate({"version": 1, "argocd": {"namespace": "ops"}})
    asked = app.Options(rung=way, agent_image="agent:1", **how)
    ways = entrance.Entrance(config, "shop-1", asked, lambda event: None)
    ways.begin([one])
    return ways.rung("web", one, lambda event: None)


def test_the_first_that_can_be_used_is_the_default() -> None:
    assert isinstance(made(app.Way.FIRST, spec()), unasked.Unasked)
    assert app.Options().rung is app.Way.FIRST


def test_a_session_where_the_manifests_bring_no_agent() -> None:
    assert isinstance(made(app.Way.DECLARED, spec()), admitted.Admitted)


def test_attach() -> None:
    assert isinstance(made(app.Way.ATTACH, spec()), attached.Attached)


def test_a_patch_ends_with_the_watch() -> None:
    rung = made(app.Way.PATCH, spec(), takeover=True)
    assert isinstance(rung, patched.Patched)
    asked = rung._asked
    assert (str(asked.reference), asked.until, asked.takeover) == ("deployment/web", lease.Until.WATCH, True)
    assert (asked.agent_image, asked.project, asked.applications) == ("agent:1", "shop-1", "ops")
    assert rung._left._keep == {"deployment/web"}


def test_what_has_no_template_cannot_be_patched() -> None:
    labels = model.Service.model_validate({"selector": {"app": "web"}, "sync": SYNC})
    assert isinstance(made(app.Way.ATTACH, labels), attached.Attached)
    with pytest.raises(errors.UsageError) as caught:
        made(app.Way.PATCH, labels)
    assert caught.value.error_code == template.CODE
