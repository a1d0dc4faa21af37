from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.config import detect, init, load, model
from devloop.config.detect import Here

FLASK = Here(
    frozenset({"app.py", "requirements.txt", "Dockerfile"}),
    {"requirements.txt": "flask", "Dockerfile": "FROM python\nWORKDIR /srv/shop\nCOPY . .\nEXPOSE 5000"},
)
NODE = Here(frozenset({"package.json"}), {"package.json": '{"scripts": {"start": "node ."}}'}, in_git=True)
EMPTY = Here(frozenset())


def loaded(text: str) -> model.Config:
    return load.assemble(load.Text("devloop.yaml", text.encode()), None, folder="/p/my shop", environ={"USER": "me"})[0]


@pytest.mark.parametrize("here", [FLASK, NODE, EMPTY])
def test_what_is_written_works_as_it_is(here: Here) -> None:
    config = loaded(init.render("/p/my shop", here))
    assert config.name == "my-shop"
    ((name, service),) = config.services.items()
    assert service.target == model.Target(local=f"/p/my shop/.devloop/{name}")
    assert bool(service.command) is (service.reload.mode is model.Mode.SUPERVISE)


def test_what_was_found_is_in_it() -> None:
    web = loaded(init.render("/p/my shop", FLASK)).services["web"]
    assert web.command == ("python3", "-m", "flask", "--app", "app", "run", "--port", "5000")
    assert (web.sync[0].source, web.sync[0].to) == ("/p/my shop", "/srv/shop")
    assert web.sync[0].ignore == ("__pycache__/", ".venv/")
    assert web.on_change[0].run[-1] == "requirements.txt"


def test_in_git_nothing_is_ignored_twice() -> None:
    (service,) = loaded(init.render("/p", NODE)).services.values()
    assert service.sync[0].ignore == ()


@pytest.mark.parametrize("here", [FLASK, NODE, EMPTY])
def test_its_commented_lines_work_too(here: Here) -> None:
    text = re.sub(r"^( *)# (?=[a-z_]+:( |$)|  - \{)", r"\1", init.render("/p/shop", here), flags=re.MULTILINE)
    text = re.sub(r"^    target: .*\n", "", text, flags=re.MULTILINE)
    config = loaded(text)
    (service,) = config.services.values()
    assert (config.context, config.namespace) == ("dev-cluster", "me")
    assert service.workload is not None
    assert service.ports
    assert service.sync[0].include == ("dist/**",)
    assert service.sync[0].pull == ("migrations/*.py",)
    assert service.on_change
    assert service.command


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_any_words_of_a_command_survive(words: list[str]) -> None:
    # A command whose first word is absolute belongs to the image and is not taken; no command can hold a NUL.
    words = [word.replace("\0", "") for word in ["x" + words[0], *words[1:]]]
    here = Here(frozenset({"Dockerfile"}), {"Dockerfile": f"FROM x\nCMD {json.dumps(words)}"})
    guessed = detect.guess(here)
    (service,) = loaded(init.render("/p", here)).services.values()
    assert guessed.command == tuple(words)
    assert service.command == tuple(words)


LINE = st.tuples(
    st.sampled_from(["FROM ", "WORKDIR ", "COPY ", "CMD ", "EXPOSE ", "web: ", "_: ", "a-:"]),
    st.text(st.characters(), max_size=20) | st.sampled_from(["web /app", '["a", "$${", ""]', "a ${B} | c", "/a\x1b"]),
)


@given(st.lists(LINE, max_size=6), st.sampled_from(["Dockerfile", "Procfile"]))
def test_whatever_was_found_the_file_loads(lines: list[tuple[str, str]], name: str) -> None:
    text = "\n".join(head + rest for head, rest in lines)
    loaded(init.render("/p", Here(frozenset({name, "web/", "app.py"}), {name: text})))


def test_looking_reads_names_texts_and_git(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "package.json").write_bytes(b"{}\xff")
    (tmp_path / "Dockerfile").mkdir()
    here = init.look(str(tmp_path / "."))
    assert here.names == {"web/", "package.json", "Dockerfile/"}
    assert here.texts == {"package.json": "{}�"}
    (tmp_path / ".git").write_text("gitdir: elsewhere")
    assert init.look(str(tmp_path / "web")).in_git
    assert init.git_root(str(tmp_path / "web")) == str(tmp_path)


def test_only_what_is_missing_is_added_to_gitignore() -> None:
    assert init.missing_ignores("") == list(init.PRIVATE)
    assert init.missing_ignores("a\n/.devloop\n") == ["devloop.local.yaml"]
    assert init.missing_ignores(init.add_ignores("a", init.PRIVATE)) == []
    assert init.add_ignores("a", ["b"]) == "a\nb\n"
    assert init.add_ignores("a\n", ["b"]) == "a\nb\n"


SEEN = detect.InCluster(
    workload="deployment/web",
    namespace="ann-dev",
    context="dev",
    container="app",
    command=("gunicorn", "app:main"),
    cwd="/srv/app",
    user="1000:1000",
    ports=(8000, 9000),
)


def test_a_file_for_the_cluster_says_what_runs_there(tmp_path: Path) -> None:
    made = init.render(str(tmp_path), detect.Here(frozenset({"app.py"}), {}), SEEN)
    config = loaded(made)
    assert (config.context, config.namespace) == ("dev", "ann-dev")
    service = config.services["web"]
    assert (str(service.workload), service.container, service.command) == (
        "deployment/web",
        "app",
        ("gunicorn", "app:main"),
    )
    assert (service.sync[0].to, service.target) == ("/srv/app", None)
    assert "as deployment/web has it" in made
    assert len(service.ports) == 2


def test_what_the_pod_does_not_tell_stays_as_the_folder_has_it(tmp_path: Path) -> None:
    bare = detect.InCluster("statefulset/db", "ann-dev", "dev", cwd="/")
    made = init.render(str(tmp_path), detect.Here(frozenset({"app.py"}), {}), bare)
    service = loaded(made).services["db"]
    assert (service.command, service.sync[0].to, service.run_as) == (("python3", "app.py"), "/app", None)
    assert "run_as" not in made and "container" not in made
