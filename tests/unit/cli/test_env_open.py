from __future__ import annotations

import webbrowser

import pytest

from tests.unit.cli import environments
from tests.unit.cli.run import devloop

LINKS = """\
argocd:
  url: https://argocd.example
  links: {grafana: "https://g.example/d?pod={pod}", team: "https://t.example/{application}"}
"""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def take(address: str) -> bool:
        found.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", take)
    environments.project(LINKS)
    environments.found(monkeypatch, environments.shop)
    return found


def test_argo_cds_page_is_opened(capsys: pytest.CaptureFixture[str], opened: list[str]) -> None:
    ended = devloop(capsys, "env", "open")
    assert (ended.status, ended.out) == (0, "")
    assert opened == ["https://argocd.example/applications/argocd/shop"]


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["grafana"], "https://g.example/d?pod=web-9-a"),
        (["grafana", "--service", "web"], "https://g.example/d?pod=web-9-a"),
        (["team"], "https://t.example/shop"),
        (["--app", "bobs"], "https://argocd.example/applications/argocd/bobs"),
        (["repo"], "https://git.example/templates"),
    ],
)
def test_pages_by_name(
    capsys: pytest.CaptureFixture[str], opened: list[str], arguments: list[str], address: str
) -> None:
    ended = devloop(capsys, "env", "open", "--print", *arguments)
    assert (ended.status, ended.out, opened) == (0, address + "\n", [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["grafna"], "did you mean grafana?"),
        (["zzz"], "one of argocd, grafana, repo, team"),
        (["--app", "x", "--service", "web"], "exclude each other"),
        (["--service", "wbe"], "no service 'wbe'"),
        (["argocd", "--service", "web"], "say where Argo CD is"),
    ],
)
def test_what_cannot_be_meant(
    capsys: pytest.CaptureFixture[str], opened: list[str], arguments: list[str], said: str
) -> None:
    ended = devloop(capsys, "env", "open", *arguments)
    assert (ended.status, said in ended.err, opened) == (2, True, []), ended.err


def test_without_a_browser_it_is_printed(
    capsys: pytest.CaptureFixture[str], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(address: str) -> bool:
        raise webbrowser.Error("none")

    monkeypatch.setattr(webbrowser, "open", fails)
    ended = devloop(capsys, "env", "open")
    assert ended.out == "https://argocd.example/applications/argocd/shop\n"
    assert "no browser" in ended.err
