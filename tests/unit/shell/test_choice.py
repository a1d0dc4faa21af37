"""Which variables a command on the laptop gets, and which are never shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devloop.shell import choice

ENV = {
    "PATH": "/x", "HOME": "/root", "LC_ALL": "C", "KUBERNETES_SERVICE_HOST": "10.0.0.1", "DB_SERVICE_PORT": "1",
    "DB_PORT": "tcp://10.0.0.1:5432", "APP_PORT": "8000", "DB_PORT_5432_TCP_ADDR": "10.0.0.1", "DEBUG": "1",
}  # fmt: skip


def test_the_laptops_own_are_left_alone_unless_they_are_asked_for() -> None:
    taken, left = choice.chosen(ENV)
    assert taken == {"APP_PORT": "8000", "DEBUG": "1"} and set(left) == set(ENV) - set(taken)
    assert set(choice.chosen(ENV, include=["PATH", "KUBERNETES_*"])[0]) == {
        "PATH",
        "KUBERNETES_SERVICE_HOST",
        "APP_PORT",
        "DEBUG",
    }
    assert choice.chosen(ENV, exclude=["*"], include=["PATH"])[0] == {}


@pytest.mark.parametrize("name", ["API_TOKEN", "db_password", "SECRETS", "AWS_ACCESS_KEY_ID", "CREDENTIALS"])
def test_names_that_say_so_are_secret(name: str) -> None:
    assert choice.secrets({name: "x", "OTHER": "y"}, ()) == {name}


def test_what_holds_a_secret_is_one() -> None:
    env = {"A": "longer", "URL": "pg://u:longer@h", "OTHER": "pg://u:pass@h", "PLAIN": "http://h:80/@x", "NO": "x"}
    assert choice.secrets(env, ["A", "GONE"]) == {"A", "URL", "OTHER"}
    assert choice.shown({"A": "v", "B": "", "C": "v"}, {"A", "B"}) == {"A": "***", "B": "", "C": "v"}


def test_the_page_has_the_list() -> None:
    page = (Path(__file__).parents[3] / "docs" / "exec.md").read_text()
    told = re.search(r"<!-- left alone -->\n(.*?)\n\n", page, re.DOTALL)
    assert told is not None and tuple(re.findall(r"`([^`]+)`", told[1])) == choice.LEFT_ALONE
