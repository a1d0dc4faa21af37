from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devloop import errors
from devloop.config import discover


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "home/p/sub/deep").mkdir(parents=True)
    (tmp_path / "home/p/devloop.yaml").write_text("version: 1")
    return tmp_path / "home/p"


def find(cwd: Path, file: str = "") -> discover.Found:
    return discover.find(str(cwd), file=file, home=str(cwd.joinpath(*[".."] * 9)))


def test_the_nearest_file_above_is_found(project: Path) -> None:
    assert find(project) == discover.Found(str(project / "devloop.yaml"), "devloop.yaml")
    deep = find(project / "sub/deep")
    assert (deep.file, deep.shown) == (str(project / "devloop.yaml"), "../../devloop.yaml")
    (project / "sub/devloop.yaml").write_text("version: 1")
    assert find(project / "sub/deep").file == str(project / "sub/devloop.yaml")


def test_a_folder_of_that_name_is_not_it(project: Path) -> None:
    (project / "sub/devloop.yaml").mkdir()
    assert find(project / "sub").file == str(project / "devloop.yaml")


def test_the_search_ends_below_home(project: Path) -> None:
    (project.parent / "devloop.yaml").write_text("version: 1")
    (project / "devloop.yaml").unlink()
    with pytest.raises(errors.ConfigError) as caught:
        discover.find(str(project / "sub"), home=str(project.parent))
    assert caught.value.message == f"no devloop.yaml in {project}/sub or above it, up to {project}"
    assert caught.value.error_code == "DL0201"
    assert "devloop init" in caught.value.hint


def test_home_itself_may_be_a_project_when_one_stands_in_it(project: Path) -> None:
    assert discover.find(str(project), home=str(project)).file == str(project / "devloop.yaml")


def test_the_copy_in_a_local_target_is_not_the_projects_file(project: Path) -> None:
    target = project / ".devloop/web/app"
    target.mkdir(parents=True)
    (target / "devloop.yaml").write_text("version: 1")
    assert find(target).file == str(project / "devloop.yaml")


@pytest.mark.parametrize("name", ["devloop.yml", ".devloop.yaml"])
def test_a_near_name_is_told(project: Path, name: str) -> None:
    (project / "sub" / name).write_text("version: 1")
    with pytest.raises(errors.ConfigError) as caught:
        find(project / "sub")
    assert (caught.value.message, caught.value.hint) == (f"{name} is not read", "rename it to devloop.yaml")


def test_a_named_file_or_folder_is_taken_as_it_is(project: Path) -> None:
    assert find(project / "sub", "../devloop.yaml") == discover.Found(str(project / "devloop.yaml"), "../devloop.yaml")
    assert find(project / "sub", "..") == discover.Found(str(project / "devloop.yaml"), "../devloop.yaml")
    (project / "other.yaml").write_text("")
    assert find(project, "other.yaml").shown == "other.yaml"


def test_a_named_file_that_is_missing_is_told_as_it_was_named(project: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"there is no file \./x\.yaml"):
        find(project, "./x.yaml")


def test_finding_a_project_needs_nothing_heavy() -> None:
    code = "import sys; import devloop.cli.project; print(*sys.modules)"
    root = str(Path(discover.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, capture_output=True)
    assert {b"pydantic", b"yaml", b"asyncio"}.isdisjoint(done.stdout.split())
    assert b"devloop.config.discover" in done.stdout.split()
