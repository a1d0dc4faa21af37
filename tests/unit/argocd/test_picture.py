"""The environment as a whole, made once and changed as Applications change."""

from __future__ import annotations

from pathlib import Path

from devloop.argocd import application, chain, environment, findings, index, picture, tracking
from tests.unit.argocd import samples, trees

WEB = samples.deployment(annotations={tracking.TRACKING_ID: "shop:apps/Deployment:ann/web"})
SERVICE = chain.Chain("web", "ann", ("web-1",), "web-9", WEB)


def shop(sync: str = "Synced") -> application.Application:
    raw = samples.raw(source={"repoURL": trees.REPO, "path": "envs", "targetRevision": "main"})
    raw["status"]["sync"]["status"] = sync
    return application.read(raw)


def found(*more: application.Application) -> environment.Environment:
    return environment.select(index.Index([shop(), *more]), (SERVICE, chain.Chain("gone", "ann", trouble="no")))


async def taken(folder: Path, *more: application.Application, asked: picture.Asked | None = None) -> picture.Picture:
    trees.clone(folder, {"envs/web.yaml": trees.manifest("web")})
    seen = found(*more)
    around = findings.Surroundings(applications=seen.every)
    said = asked or picture.Asked(str(folder), "https://argocd.example", {"pod": "https://g.example/{pod}"})
    return await picture.take(seen, seen.members, around, said, "kubernetes")


async def test_a_service_has_its_way_to_the_file(tmp_path: Path) -> None:
    made = await taken(tmp_path)
    web, gone = made.ways
    assert web.owner == application.Reference("argocd", "shop")
    assert web.located is not None
    assert [str(each) for each in web.located.files] == ["envs/web.yaml:1"]
    assert web.links == {"pod": "https://g.example/web-1"}
    assert (gone.owner, gone.located, gone.chain.trouble) == (None, None, "no")
    assert made.shown[0].links["argocd"] == "https://argocd.example/applications/argocd/shop"
    # the clone has no such branch
    assert made.shown[0].standings == (None,)


async def test_without_a_checkout_there_is_no_file(tmp_path: Path) -> None:
    made = await taken(tmp_path, asked=picture.Asked())
    assert (made.clone, made.ways[0].located) == ("", None)
    (tmp_path / "other").mkdir()
    broken = await taken(tmp_path / "other", asked=picture.Asked(str(tmp_path / "missing")))
    assert isinstance(broken.clone, str)
    assert "there is no folder" in broken.clone


async def test_only_what_was_asked_for(tmp_path: Path) -> None:
    other = application.read(samples.raw("other"))
    seen = found(other)
    members = [each for each in seen.members if each.app.name == "other"]
    made = await picture.take(seen, members, findings.Surroundings(), picture.Asked())
    assert ([each.app.name for each in made.shown], made.ways) == (["other"], ())


async def test_changes_are_put_into_it(tmp_path: Path) -> None:
    made = await taken(tmp_path)
    which = made.shown[0].app.reference
    changed = await picture.again(made, {which: shop("OutOfSync")})
    assert [each.app.sync for each in changed.shown] == ["OutOfSync"]
    assert [each.sync for each in changed.around.applications] == ["OutOfSync"]
    assert changed.ways == made.ways
    assert (await picture.again(changed, {which: None})).shown == ()


def test_where_argo_cd_is_for_links() -> None:
    assert picture.base_of("https://api.example/", "https://ui.example/") == "https://ui.example"
    assert picture.base_of("https://api.example", None, "https://told.example") == "https://api.example"
    assert picture.base_of(None, None, "https://told.example/") == "https://told.example"
    assert picture.base_of(None, None) == ""
