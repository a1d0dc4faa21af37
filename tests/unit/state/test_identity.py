"""Others see a readable owner."""

import os

import pytest

from devloop.state import identity


def test_the_owner_is_user_at_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    assert identity.owner() == f"ann@{identity.host()}"
    assert identity.owner().count("@") == 1


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert identity.user() == f"uid-{os.getuid()}"


def test_names_cannot_break_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ann\n\x1b[31m@x " + "y" * 200)
    assert identity.user().isprintable()
    assert "@" not in identity.user()
    assert len(identity.user()) <= 64
