"""How Argo CD's server is reached, and as whom."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from devloop import errors
from devloop.argocd import login

CLI = {
    "current-context": "prod",
    "contexts": [
        {"name": "dev", "server": "argocd.example", "user": "dev"},
        {"name": "rooted", "server": "apps.example", "user": "rooted"},
        {"name": "prod", "server": "argocd.example:443", "user": "prod"},
    ],
    "servers": [
        {"server": "argocd.example", "insecure": True},
        {"server": "apps.example", "grpc-web-root-path": "/argocd"},
        {
            "server": "argocd.example:443",
            "certificate-authority-data": base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode(),
        },
    ],
    "users": [
        {"name": "dev", "auth-token": "t-dev"},
        {"name": "rooted", "auth-token": "t-rooted"},
        {"name": "prod", "auth-token": "t-prod"},
    ],
}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / ".config" / "argocd"
    folder.mkdir(parents=True)
    (folder / "config").write_text(yaml.safe_dump(CLI))
    return {"HOME": str(tmp_path)}


def test_the_cli_knows_the_token_of_the_current_context_first(home: dict[str, str]) -> None:
    found = login.find("https://argocd.example", home)
    assert (found.token, found.verify, found.authority) == ("t-prod", True, "-----BEGIN CERTIFICATE-----")
    assert found.origin.endswith("argocd/config")


def test_a_server_beneath_a_path_is_another_server(home: dict[str, str]) -> None:
    assert login.find("https://apps.example/argocd/", home).token == "t-rooted"
    assert login.find("https://apps.example", home).token == ""


def test_the_environments_token_goes_first(home: dict[str, str]) -> None:
    found = login.find("argocd.example", {**home, login.TOKEN: " mine \n"})
    assert (found.url, found.token, found.origin) == ("https://argocd.example", "mine", login.TOKEN)


def test_no_token_goes_to_a_server_that_the_cli_does_not_know(home: dict[str, str]) -> None:
    assert login.find("https://argocd.example.evil", home) == login.Login("https://argocd.example.evil")


def test_without_a_login_there_is_no_token(tmp_path: Path) -> None:
    assert login.find("https://argocd.example", {"HOME": str(tmp_path)}).token == ""


@pytest.mark.parametrize(
    "server",
    [
        "http://argocd.example",
        "http://10.0.0.1:8080",
        "ftp://argocd.example",
        "https://",
        "https://user@argocd.example",
        "https://argocd.example?x=1",
        "https://argocd.example:nope",
        "",
    ],
)
def test_what_is_no_address_or_not_encrypted_is_refused(server: str, home: dict[str, str]) -> None:
    with pytest.raises(errors.CredentialsError) as raised:
        login.find(server, home)
    assert raised.value.error_code == "DL1040"
    assert raised.value.hint


@pytest.mark.parametrize("server", ["http://localhost:8080", "http://127.0.0.1:8080/", "http://[::1]:8080"])
def test_this_machine_needs_no_encryption(server: str, home: dict[str, str]) -> None:
    assert login.find(server, home).url == server.rstrip("/")


@pytest.mark.parametrize("text", ["{", "- a\n- b", "contexts: 7\nusers: [1]", "\x00"])
def test_a_damaged_login_is_an_error_or_none_and_never_a_traceback(text: str, home: dict[str, str]) -> None:
    path = Path(login.config_path(home))
    path.write_text(text)
    try:
        assert login.find("https://argocd.example", home).token == ""
    except errors.CredentialsError as error:
        assert str(path) in error.message


def test_where_the_cli_keeps_its_login(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert login.config_path({"HOME": home}) == f"{home}/.config/argocd/config"
    assert login.config_path({"HOME": home, "XDG_CONFIG_HOME": "/x"}) == "/x/argocd/config"
    assert login.config_path({"HOME": home, "ARGOCD_CONFIG_DIR": "/y"}) == "/y/config"
    (tmp_path / ".argocd").mkdir()
    assert login.config_path({"HOME": home, "XDG_CONFIG_HOME": "/x"}) == f"{home}/.argocd/config"
