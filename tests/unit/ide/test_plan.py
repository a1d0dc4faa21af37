from __future__ import annotations

from devloop.ide import plan


def test_what_is_kept_is_told_with_its_place_and_the_way_out() -> None:
    told = plan.kept(".vscode/tasks.json", '"build"')
    assert told.startswith('.vscode/tasks.json: "build"') and "--force" in told
