from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.config import detect
from devloop.config.detect import Guess, Here, Hook


def guess(*names: str, **texts: str) -> Guess:
    files = {name.replace("_", "."): text for name, text in texts.items()}
    return detect.guess(Here(frozenset([*names, *files]), files))


def test_an_empty_folder_says_nothing() -> None:
    assert guess() == Guess()


@pytest.mark.parametrize(
    ("names", "texts", "command"),
    [
        (["manage.py"], {}, "python3 manage.py runserver --noreload 8000"),
        (["app.py"], {}, "python3 app.py"),
        (["main.py"], {"requirements_txt": "FastAPI>=1"}, "python3 -m uvicorn main:app --port 8000"),
        (["app.py"], {"requirements_txt": "flask\n"}, "python3 -m flask --app app run --port 5000"),
        (["app.py"], {"pyproject_toml": 'dependencies = ["flask-x"]'}, "python3 -m flask --app app run --port 5000"),
        ([], {"pyproject_toml": "[project]"}, ""),
        ([], {"package_json": json.dumps({"scripts": {"start": "x", "dev": "y"}})}, "npm start"),
        ([], {"package_json": json.dumps({"scripts": {"dev": "y"}})}, "npm run dev"),
        ([], {"package_json": json.dumps({"main": "src/a.js"})}, "node src/a.js"),
        (["server.js"], {"package_json": "{}"}, "node server.js"),
        ([], {"package_json": "not json"}, ""),
        ([], {"package_json": '{"scripts": [], "main": 5}'}, ""),
        (["go.mod"], {}, "go run ."),
        (["Cargo.toml"], {}, "cargo run"),
        (["config.ru"], {}, "bundle exec rackup"),
        (["index.html"], {}, "python3 -m http.server 8000"),
    ],
)
def test_the_command_by_what_is_there(names: list[str], texts: dict[str, str], command: str) -> None:
    assert " ".join(guess(*names, **texts).command) == command


def test_dependencies_are_installed_when_their_list_changes() -> None:
    assert guess("package.json", "package-lock.json").hooks == (
        Hook(("package.json", "package-lock.json"), ("npm", "ci")),
    )
    assert guess("package.json").hooks == (Hook(("package.json",), ("npm", "install")),)
    assert guess("requirements.txt").hooks[0].paths == ("requirements.txt",)


def test_a_procfile_names_service_and_command() -> None:
    made = guess("app.py", Procfile="# comment\nworker: python w.py\nweb: gunicorn app:app\n")
    assert (made.service, made.found_in, made.command, made.shell) == (
        "web",
        "Procfile",
        ("gunicorn", "app:app"),
        False,
    )
    only = guess(Procfile="worker: run --port $PORT")
    assert (only.service, only.command, only.shell) == ("worker", ("run --port $PORT",), True)


DOCKERFILE = """\
FROM node:22 AS build
WORKDIR /build
EXPOSE 1
COPY . .
CMD ["build"]
# FROM commented
FROM python:3.13 \\
  AS run
WORKDIR /srv
WORKDIR shop
COPY --from=build /build/dist ./static
COPY requirements.txt ./
COPY . .
EXPOSE 8080/tcp 9090 53/udp
CMD ["python", "serve.py"]
"""


def test_the_last_stage_of_a_dockerfile_says_where_and_what() -> None:
    made = guess("app.py", Dockerfile=DOCKERFILE)
    assert (made.to, made.source, made.ports) == ("/srv/shop", ".", (8080, 9090))
    assert (made.command, made.found_in, made.service) == (("python", "serve.py"), "Dockerfile", "web")


@pytest.mark.parametrize(
    ("lines", "source", "to"),
    [
        ("WORKDIR /app\nCOPY . /code", ".", "/code"),
        ("WORKDIR /app\nCOPY web/ .", "./web", "/app"),
        ("WORKDIR /app\nCOPY web ./web", ".", "/app"),
        ("WORKDIR /app\nCOPY web /app\nCOPY lib /app/lib", ".", "/app"),
        ('WORKDIR /app\nCOPY ["web", "/app"]', "./web", "/app"),
        ("COPY . .", ".", "/app"),
        ("WORKDIR /etc\nCOPY . .", ".", "/app"),
        ("WORKDIR $HOME/x\nCOPY . .", ".", "/app"),
        ("WORKDIR /app\nCOPY --chown=a:b . ./", ".", "/app"),
    ],
)
def test_what_a_dockerfile_copies_is_what_is_synced(lines: str, source: str, to: str) -> None:
    made = guess("web/", "lib/", Dockerfile=f"FROM x\n{lines}")
    assert (made.source, made.to) == (source, to)


def test_a_command_that_only_the_image_has_is_not_taken() -> None:
    assert guess("app.py", Dockerfile='FROM x\nCMD ["/entrypoint.sh"]').command == ("python3", "app.py")
    shell = guess(Dockerfile="FROM x\nCMD exec serve --port ${PORT:-80}")
    assert (shell.command, shell.shell) == (("exec serve --port ${PORT:-80}",), True)


@given(st.dictionaries(st.sampled_from(detect.READ), st.text(max_size=200)), st.sets(st.text(max_size=9)))
def test_whatever_is_in_the_files_is_no_error(texts: dict[str, str], names: set[str]) -> None:
    detect.guess(Here(frozenset(names | texts.keys()), texts))


@given(st.lists(st.tuples(st.sampled_from(["FROM", "WORKDIR", "COPY", "CMD", "EXPOSE", "#"]), st.text(max_size=30))))
def test_whatever_is_in_a_dockerfile_is_no_error(lines: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{name} {rest}" for name, rest in lines)
    made = detect.guess(Here(frozenset({"Dockerfile"}), {"Dockerfile": text}))
    assert made.to.startswith("/")
