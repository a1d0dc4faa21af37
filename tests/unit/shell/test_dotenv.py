"""Files of variables, read back by real shells and by what docker and direnv do with them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop import errors
from devloop.shell import dotenv

SHELLS = [shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@given(st.lists(values | st.text(alphabet="'\"$`\\\n !#ab", max_size=12), max_size=8))
@settings(max_examples=25, deadline=None)
def test_the_shell_reads_back_every_value(found: list[str]) -> None:
    env = {f"V{index}": value for index, value in enumerate(found)}
    content, lost = dotenv.text(env, "sh")
    assert not lost
    names = " ".join(f'"${name}"' for name in env)
    for shell in SHELLS:
        script = f"set -a\n{content}printf '%s\\0' {names}"
        said = subprocess.run([*shell, "-c", script], capture_output=True, check=True, timeout=20).stdout
        assert said.decode().split("\0")[:-1] == found or not found


@given(values)
@settings(deadline=None)
def test_docker_takes_all_after_the_equals_sign(value: str) -> None:
    content, lost = dotenv.text({"V": value}, "docker")
    if re.search("[\r\n]", value):
        assert lost == ("V",) and not content
    else:
        assert content == f"V={value}\n"


@given(st.text(alphabet="abcXYZ0189_./:@%+,=-", max_size=20))
def test_simple_values_are_the_same_for_everybody(value: str) -> None:
    assert dotenv.text({"V": value}, "sh") == dotenv.text({"V": value}, "docker") == (f"V={value}\n", ())


@given(values)
def test_direnv_takes_single_quotes_as_they_are(value: str) -> None:
    # direnv, pkg/dotenv/parse.go: nothing is expanded between single quotes.
    content, _ = dotenv.text({"V": value}, "sh")
    quoted = re.fullmatch(r"V='([^']*)'\n", content)
    assert quoted is None or quoted[1] == value


def test_names_that_a_form_cannot_hold_are_told() -> None:
    env = {"a.b": "1", "ok": "2", "1x": "3", "with space": "4"}
    assert dotenv.text(env, "sh") == ("ok=2\n", ("a.b", "1x", "with space"))
    assert dotenv.text(env, "docker") == ("a.b=1\nok=2\n1x=3\n", ("with space",))


def test_the_file_is_the_users_alone_and_not_replaced_without_being_told(tmp_path: Path) -> None:
    path = tmp_path / "e.env"
    dotenv.write(str(path), "A=1\n", force=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.read_text() == "A=1\n"
    with pytest.raises(errors.LocalError, match="is there already") as caught:
        dotenv.write(str(path), "A=2\n", force=False)
    assert "--force" in caught.value.hint and path.read_text() == "A=1\n"
    path.chmod(0o644)
    dotenv.write(str(path), "A=3\n", force=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.read_text() == "A=3\n"
    with pytest.raises(errors.LocalError, match="cannot be written"):
        dotenv.write(str(tmp_path / "no" / "where"), "", force=False)
    assert os.listdir(tmp_path) == ["e.env"]
