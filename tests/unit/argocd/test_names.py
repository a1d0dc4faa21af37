from __future__ import annotations

import pytest

from devloop import errors
from devloop.argocd import application, names
from tests.unit.argocd import samples

SHOP = application.read(samples.raw())
WEB = application.read(samples.raw("web"))
OTHER = application.read(samples.raw("web", "ann"))


def test_a_name_is_enough_where_there_is_one() -> None:
    assert names.pick([SHOP, WEB], "web") == WEB
    assert names.pick([SHOP, WEB, OTHER], "ann/web") == OTHER


def test_several_of_a_name_are_all_told() -> None:
    with pytest.raises(errors.UsageError) as raised:
        names.pick([WEB, OTHER], "web")
    assert raised.value.error_code == names.SEVERAL
    assert raised.value.hint == "say which one is meant: argocd/web, ann/web"


@pytest.mark.parametrize("text", ["shp", "argocd/shp"])
def test_a_near_name_is_offered(text: str) -> None:
    with pytest.raises(errors.NotThereError) as raised:
        names.pick([SHOP, WEB], text)
    assert raised.value.error_code == names.UNKNOWN
    assert "shop" in raised.value.hint


def test_a_name_in_another_namespace_is_not_meant() -> None:
    with pytest.raises(errors.NotThereError, match="no Application ann/shop"):
        names.pick([SHOP], "ann/shop")


def test_names_that_are_like_none_are_listed_up_to_a_number() -> None:
    many = [application.read(samples.raw(f"a{number:02}")) for number in range(20)]
    with pytest.raises(errors.NotThereError) as raised:
        names.pick(many, "zzz")
    assert "argocd/a00" in raised.value.hint
    assert raised.value.hint.endswith("and 8 more")
    assert "argocd/a19" not in raised.value.hint


def test_no_application_at_all_says_so() -> None:
    with pytest.raises(errors.NotThereError) as raised:
        names.pick([], "shop")
    assert "none that you may read" in raised.value.hint


def test_several_names_give_each_once_and_none_gives_all() -> None:
    assert names.picked([SHOP, WEB], ["web", "argocd/web"]) == [WEB]
    assert names.picked([SHOP, WEB], []) == [SHOP, WEB]
