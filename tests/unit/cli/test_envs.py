"""What the verbs of `devloop env` have in common."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from devloop import errors
from devloop.argocd import application, environment
from devloop.cli import envs, options
from tests.unit.argocd import samples
from tests.unit.cli import environments
from tests.unit.cli.run import devloop
from tests.unit.kube import fake_api

SHOP, BOBS = application.read(samples.raw()), application.read(samples.raw("bobs"))
FOUND = environment.Environment((environment.Member(SHOP, environment.Why.NAMED),), every=(SHOP, BOBS))


def test_names_choose_among_all_and_none_means_the_environment() -> None:
    assert envs.named(FOUND, []) == [SHOP]
    assert envs.named(FOUND, ["bobs"]) == [BOBS]
    with pytest.raises(errors.NotThereError, match=r"no Application bob$"):
        envs.named(FOUND, ["bob"])


@pytest.mark.parametrize(("foreign", "said"), [({}, "no Application belongs"), ({"web": "teams/x"}, "teams/x")])
def test_no_environment_is_an_error(foreign: dict[str, str], said: str) -> None:
    with pytest.raises(errors.NotThereError, match=said) as raised:
        envs.named(environment.Environment(foreign=foreign), [])
    assert raised.value.error_code == "DL1012"


def test_a_verb_works_without_a_project(monkeypatch: pytest.MonkeyPatch) -> None:
    environments.found(monkeypatch, environments.shop)

    async def look() -> tuple[object, str, int]:
        async with envs.opened(options.Settings()) as env:
            return env.loaded, env.templates, len((await env.environment()).every)

    assert asyncio.run(look()) == (None, "", 2)


def test_a_named_project_that_is_not_there_is_an_error() -> None:
    with pytest.raises(errors.ConfigError):
        envs.project_of(options.Settings(file="nowhere.yaml"))


def test_the_templates_are_the_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    environments.project("argocd: {templates: ../t}\n")
    environments.found(monkeypatch, environments.shop)

    async def look() -> str:
        async with envs.opened(options.Settings()) as env:
            return env.templates

    assert asyncio.run(look()) == str(Path.cwd().parent / "t")


def test_a_cluster_without_argo_cd_says_so_with_the_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environments.found(monkeypatch)
    ended = devloop(capsys, "env", "list")
    assert ended.err.startswith("error[DL1001]: the cluster has no Argo CD")
    assert "works without it" in ended.err


def test_a_missing_right_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = 'User "ann" cannot list resource "applications" in API group "argoproj.io" at the cluster scope'

    def refused(server: fake_api.FakeApi) -> None:
        for path in ("applications", "namespaces/argocd/applications", "namespaces/dev/applications"):
            server.on("GET", f"/apis/argoproj.io/v1alpha1/{path}", fake_api.refusing(403, words, "Forbidden"))

    environments.found(monkeypatch, refused)
    ended = devloop(capsys, "env", "list")
    assert (ended.status, "list applications" in ended.err) == (4, True), ended.err
    assert "hint: ask for the Role of config/rbac/argocd" in ended.err


def test_references_and_users_are_told_alike_everywhere() -> None:
    assert envs.reference(SHOP.reference) == {"namespace": "argocd", "name": "shop"}
    assert envs.user().startswith("devloop/")
